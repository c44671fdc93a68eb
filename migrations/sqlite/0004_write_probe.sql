-- What a server writes to know that it can. One row; its time is in milliseconds since 1970.
CREATE TABLE write_probe (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL,
    -- Takes room, to show that there is some.
    filling BLOB
) STRICT;
