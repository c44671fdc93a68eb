-- To count the drawings that a user has made.
CREATE INDEX drawings_created_by_idx ON drawings (created_by) WHERE deleted_at IS NULL;
