-- What a server writes to know that it can. One row; its time is in milliseconds since 1970.
CREATE TABLE write_probe (
    id boolean PRIMARY KEY DEFAULT true CHECK (id),
    at bigint NOT NULL,
    -- Takes room, to show that there is some.
    filling bytea
);
