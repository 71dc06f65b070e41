"""What is measured beside our services, each as a process of its own: `python -m deploy.bench.workers.NAME`."""
