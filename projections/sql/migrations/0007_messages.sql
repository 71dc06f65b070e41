-- When and how people write: over all users without their names, and of each user.
-- Scope: generation
-- Beside it: any code that runs on 0006_recompute; it fills nothing here. Where events are applied already, a rebuild does.

CREATE TABLE message_patterns (
    weekday  integer NOT NULL CHECK (weekday BETWEEN 1 AND 7),
    hour     integer NOT NULL CHECK (hour BETWEEN 0 AND 23),
    kind     text    NOT NULL CHECK (
        kind IN ('text', 'command', 'callback', 'photo', 'voice', 'video', 'sticker', 'document', 'other')
    ),
    messages bigint  NOT NULL CHECK (messages > 0),
    PRIMARY KEY (weekday, hour, kind)
) WITH (fillfactor = 50);

COMMENT ON TABLE message_patterns IS
    'Messages received, by weekday, hour and kind, over all users and all time. No user is in it.';
COMMENT ON COLUMN message_patterns.weekday IS 'Of the UTC day: 1 is Monday, 7 is Sunday.';
COMMENT ON COLUMN message_patterns.hour IS 'Of the UTC day, 0 to 23.';
COMMENT ON COLUMN message_patterns.messages IS 'Messages received. An hour and kind without any has no row.';

CREATE TABLE user_message_counts (
    telegram_id   bigint  PRIMARY KEY REFERENCES users,
    kind_text     integer NOT NULL CHECK (kind_text >= 0),
    kind_command  integer NOT NULL CHECK (kind_command >= 0),
    kind_callback integer NOT NULL CHECK (kind_callback >= 0),
    kind_photo    integer NOT NULL CHECK (kind_photo >= 0),
    kind_voice    integer NOT NULL CHECK (kind_voice >= 0),
    kind_video    integer NOT NULL CHECK (kind_video >= 0),
    kind_sticker  integer NOT NULL CHECK (kind_sticker >= 0),
    kind_document integer NOT NULL CHECK (kind_document >= 0),
    kind_other    integer NOT NULL CHECK (kind_other >= 0),
    hour_00       integer NOT NULL CHECK (hour_00 >= 0),
    hour_01       integer NOT NULL CHECK (hour_01 >= 0),
    hour_02       integer NOT NULL CHECK (hour_02 >= 0),
    hour_03       integer NOT NULL CHECK (hour_03 >= 0),
    hour_04       integer NOT NULL CHECK (hour_04 >= 0),
    hour_05       integer NOT NULL CHECK (hour_05 >= 0),
    hour_06       integer NOT NULL CHECK (hour_06 >= 0),
    hour_07       integer NOT NULL CHECK (hour_07 >= 0),
    hour_08       integer NOT NULL CHECK (hour_08 >= 0),
    hour_09       integer NOT NULL CHECK (hour_09 >= 0),
    hour_10       integer NOT NULL CHECK (hour_10 >= 0),
    hour_11       integer NOT NULL CHECK (hour_11 >= 0),
    hour_12       integer NOT NULL CHECK (hour_12 >= 0),
    hour_13       integer NOT NULL CHECK (hour_13 >= 0),
    hour_14       integer NOT NULL CHECK (hour_14 >= 0),
    hour_15       integer NOT NULL CHECK (hour_15 >= 0),
    hour_16       integer NOT NULL CHECK (hour_16 >= 0),
    hour_17       integer NOT NULL CHECK (hour_17 >= 0),
    hour_18       integer NOT NULL CHECK (hour_18 >= 0),
    hour_19       integer NOT NULL CHECK (hour_19 >= 0),
    hour_20       integer NOT NULL CHECK (hour_20 >= 0),
    hour_21       integer NOT NULL CHECK (hour_21 >= 0),
    hour_22       integer NOT NULL CHECK (hour_22 >= 0),
    hour_23       integer NOT NULL CHECK (hour_23 >= 0)
) WITH (fillfactor = 80);

COMMENT ON TABLE user_message_counts IS
    'Messages received of each user, by kind (kind_text and so on) and by hour of the UTC day (hour_00 and so on): each message counts in one column of either.';

CREATE VIEW communication_preferences WITH (security_invoker = true) AS
SELECT
    c.telegram_id,
    -- CASE takes the first that fits: the order of its branches decides between equals.
    CASE greatest(
        c.kind_text, c.kind_command, c.kind_callback, c.kind_photo, c.kind_voice, c.kind_video, c.kind_sticker,
        c.kind_document, c.kind_other
    )
        WHEN c.kind_text THEN 'text'
        WHEN c.kind_command THEN 'command'
        WHEN c.kind_callback THEN 'callback'
        WHEN c.kind_photo THEN 'photo'
        WHEN c.kind_voice THEN 'voice'
        WHEN c.kind_video THEN 'video'
        WHEN c.kind_sticker THEN 'sticker'
        WHEN c.kind_document THEN 'document'
        WHEN c.kind_other THEN 'other'
    END AS preferred_kind,
    CASE greatest(
        c.hour_00, c.hour_01, c.hour_02, c.hour_03, c.hour_04, c.hour_05, c.hour_06, c.hour_07, c.hour_08,
        c.hour_09, c.hour_10, c.hour_11, c.hour_12, c.hour_13, c.hour_14, c.hour_15, c.hour_16, c.hour_17,
        c.hour_18, c.hour_19, c.hour_20, c.hour_21, c.hour_22, c.hour_23
    )
        WHEN c.hour_00 THEN 0
        WHEN c.hour_01 THEN 1
        WHEN c.hour_02 THEN 2
        WHEN c.hour_03 THEN 3
        WHEN c.hour_04 THEN 4
        WHEN c.hour_05 THEN 5
        WHEN c.hour_06 THEN 6
        WHEN c.hour_07 THEN 7
        WHEN c.hour_08 THEN 8
        WHEN c.hour_09 THEN 9
        WHEN c.hour_10 THEN 10
        WHEN c.hour_11 THEN 11
        WHEN c.hour_12 THEN 12
        WHEN c.hour_13 THEN 13
        WHEN c.hour_14 THEN 14
        WHEN c.hour_15 THEN 15
        WHEN c.hour_16 THEN 16
        WHEN c.hour_17 THEN 17
        WHEN c.hour_18 THEN 18
        WHEN c.hour_19 THEN 19
        WHEN c.hour_20 THEN 20
        WHEN c.hour_21 THEN 21
        WHEN c.hour_22 THEN 22
        WHEN c.hour_23 THEN 23
    END AS preferred_hour,
    round(c.kind_command / m.messages::numeric, 4) AS command_share,
    m.messages
FROM user_message_counts AS c
CROSS JOIN LATERAL (
    SELECT
        c.kind_text::bigint + c.kind_command::bigint + c.kind_callback::bigint + c.kind_photo::bigint +
        c.kind_voice::bigint + c.kind_video::bigint + c.kind_sticker::bigint + c.kind_document::bigint +
        c.kind_other::bigint
        AS messages
) AS m;

COMMENT ON VIEW communication_preferences IS 'How each user writes to the bot: one row a user with a message.';
COMMENT ON COLUMN communication_preferences.preferred_kind IS
    'The kind of most messages; of equals the first of text, command, callback, photo, voice, video, sticker, document, other.';
COMMENT ON COLUMN communication_preferences.preferred_hour IS
    'The hour of the UTC day with most messages; of equals the earliest.';
COMMENT ON COLUMN communication_preferences.command_share IS 'Commands as a share of all messages, 0 to 1.';
COMMENT ON COLUMN communication_preferences.messages IS 'Messages received.';
