// The exported AsyncAPI document through the official parser (@asyncapi/parser), strictly: any error ends with status 1.
// Usage: node validate_asyncapi.cjs FILE, with the parser's node_modules in NODE_PATH.
const { readFileSync } = require("node:fs");
const { Parser } = require("@asyncapi/parser");

const ERROR = 0;

async function main(file) {
  const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
  const errors = diagnostics.filter((found) => found.severity === ERROR);
  for (const found of errors) {
    console.error(`${file}: ${found.path.join(".")}: ${found.message}`);
  }
  if (errors.length || !document) {
    process.exitCode = 1;
    return;
  }
  const messages = document.messages().all().length;
  console.log(`${file} is valid AsyncAPI ${document.version()}: ${messages} messages`);
}

main(process.argv[2]);
