-- When and how people write.

-- name: add_patterns
-- Messages by weekday, hour and kind ($1 to $4), over all users; in the order of the key, so that writers of different
-- partitions wait for each other and never deadlock.
INSERT INTO message_patterns AS p (weekday, hour, kind, messages)
SELECT * FROM unnest($1::integer[], $2::integer[], $3::text[], $4::bigint[])
ON CONFLICT (weekday, hour, kind) DO UPDATE SET messages = p.messages + EXCLUDED.messages;

-- name: add_counts
-- Messages of each user by kind and by hour: a byte a column, in the order of the columns.
INSERT INTO user_message_counts AS c (
    telegram_id, kind_text, kind_command, kind_callback, kind_photo, kind_voice, kind_video, kind_sticker,
    kind_document, kind_other, hour_00, hour_01, hour_02, hour_03, hour_04, hour_05, hour_06, hour_07, hour_08,
    hour_09, hour_10, hour_11, hour_12, hour_13, hour_14, hour_15, hour_16, hour_17, hour_18, hour_19, hour_20,
    hour_21, hour_22, hour_23
)
SELECT
    k.telegram_id,
    get_byte(k.counts, 0), get_byte(k.counts, 1), get_byte(k.counts, 2), get_byte(k.counts, 3), get_byte(k.counts, 4),
    get_byte(k.counts, 5), get_byte(k.counts, 6), get_byte(k.counts, 7), get_byte(k.counts, 8), get_byte(k.counts, 9),
    get_byte(k.counts, 10), get_byte(k.counts, 11), get_byte(k.counts, 12), get_byte(k.counts, 13),
    get_byte(k.counts, 14), get_byte(k.counts, 15), get_byte(k.counts, 16), get_byte(k.counts, 17),
    get_byte(k.counts, 18), get_byte(k.counts, 19), get_byte(k.counts, 20), get_byte(k.counts, 21),
    get_byte(k.counts, 22), get_byte(k.counts, 23), get_byte(k.counts, 24), get_byte(k.counts, 25),
    get_byte(k.counts, 26), get_byte(k.counts, 27), get_byte(k.counts, 28), get_byte(k.counts, 29),
    get_byte(k.counts, 30), get_byte(k.counts, 31), get_byte(k.counts, 32)
FROM unnest($1::bigint[], $2::bytea[]) AS k (telegram_id, counts)
ON CONFLICT (telegram_id) DO UPDATE SET
    kind_text = c.kind_text + EXCLUDED.kind_text,
    kind_command = c.kind_command + EXCLUDED.kind_command,
    kind_callback = c.kind_callback + EXCLUDED.kind_callback,
    kind_photo = c.kind_photo + EXCLUDED.kind_photo,
    kind_voice = c.kind_voice + EXCLUDED.kind_voice,
    kind_video = c.kind_video + EXCLUDED.kind_video,
    kind_sticker = c.kind_sticker + EXCLUDED.kind_sticker,
    kind_document = c.kind_document + EXCLUDED.kind_document,
    kind_other = c.kind_other + EXCLUDED.kind_other,
    hour_00 = c.hour_00 + EXCLUDED.hour_00,
    hour_01 = c.hour_01 + EXCLUDED.hour_01,
    hour_02 = c.hour_02 + EXCLUDED.hour_02,
    hour_03 = c.hour_03 + EXCLUDED.hour_03,
    hour_04 = c.hour_04 + EXCLUDED.hour_04,
    hour_05 = c.hour_05 + EXCLUDED.hour_05,
    hour_06 = c.hour_06 + EXCLUDED.hour_06,
    hour_07 = c.hour_07 + EXCLUDED.hour_07,
    hour_08 = c.hour_08 + EXCLUDED.hour_08,
    hour_09 = c.hour_09 + EXCLUDED.hour_09,
    hour_10 = c.hour_10 + EXCLUDED.hour_10,
    hour_11 = c.hour_11 + EXCLUDED.hour_11,
    hour_12 = c.hour_12 + EXCLUDED.hour_12,
    hour_13 = c.hour_13 + EXCLUDED.hour_13,
    hour_14 = c.hour_14 + EXCLUDED.hour_14,
    hour_15 = c.hour_15 + EXCLUDED.hour_15,
    hour_16 = c.hour_16 + EXCLUDED.hour_16,
    hour_17 = c.hour_17 + EXCLUDED.hour_17,
    hour_18 = c.hour_18 + EXCLUDED.hour_18,
    hour_19 = c.hour_19 + EXCLUDED.hour_19,
    hour_20 = c.hour_20 + EXCLUDED.hour_20,
    hour_21 = c.hour_21 + EXCLUDED.hour_21,
    hour_22 = c.hour_22 + EXCLUDED.hour_22,
    hour_23 = c.hour_23 + EXCLUDED.hour_23;
