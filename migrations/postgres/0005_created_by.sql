-- To count the drawings that a user has made. Where it is made beforehand, nothing is left to do.
CREATE INDEX IF NOT EXISTS drawings_created_by_idx ON drawings (created_by) WHERE deleted_at IS NULL;
