/**
 * The tables of the search index: see search/SearchIndex.ts.
 *
 * **Details**
 *
 * - A document is the words of a message or an attachment. Documents are numbered in the order in which their rows were
 *   created. Numbers start in the middle, because older rows are indexed later.
 * - A post writes nothing here. Triggers remove the words of a text in the transaction that changes or deletes it; a
 *   document without words is indexed again.
 */

/** The number of the first document that is added after the index was begun. */
export const firstNumber = 2 ** 40

/** The tables of both databases: the types of numbers and words, and what ends a table. */
const tables = (count: string, words: string, end: string): ReadonlyArray<string> => [
  `CREATE TABLE search_documents (
    number ${count} PRIMARY KEY,
    message_id TEXT UNIQUE REFERENCES messages ON DELETE CASCADE,
    attachment_id TEXT UNIQUE REFERENCES attachments ON DELETE CASCADE,
    ${words}
  ) ${end}`,
  `CREATE INDEX search_documents_open ON search_documents (number) WHERE words IS NULL`,
  // One row: the ids between which everything is indexed, and the next numbers at both ends.
  `CREATE TABLE search_progress (
    newest_message TEXT NOT NULL,
    newest_attachment TEXT NOT NULL,
    oldest_message TEXT NOT NULL,
    oldest_attachment TEXT NOT NULL,
    next_number ${count} NOT NULL,
    previous_number ${count} NOT NULL,
    done ${count} NOT NULL,
    total ${count} NOT NULL,
    is_complete INTEGER NOT NULL
  ) ${end}`
]

/**
 * FTS5 keeps only the index; the words are in `search_documents`. With `secure-delete`, words that are removed leave
 * nothing behind in the index.
 */
export const sqlite: ReadonlyArray<string> = [
  ...tables("INTEGER", "words TEXT, parts TEXT", "STRICT"),
  `CREATE VIRTUAL TABLE search_words USING fts5(
    words, parts, content='search_documents', content_rowid='number', tokenize='ascii')`,
  `INSERT INTO search_words (search_words, rank) VALUES ('secure-delete', 1)`,
  `CREATE TRIGGER search_added AFTER INSERT ON search_documents
    BEGIN INSERT INTO search_words (rowid, words, parts) VALUES (NEW.number, NEW.words, NEW.parts); END`,
  `CREATE TRIGGER search_filled AFTER UPDATE OF words ON search_documents
    WHEN OLD.words IS NULL AND NEW.words IS NOT NULL
    BEGIN INSERT INTO search_words (rowid, words, parts) VALUES (NEW.number, NEW.words, NEW.parts); END`,
  `CREATE TRIGGER search_emptied AFTER UPDATE OF words ON search_documents
    WHEN OLD.words IS NOT NULL AND NEW.words IS NULL
    BEGIN INSERT INTO search_words (search_words, rowid, words, parts)
      VALUES ('delete', OLD.number, OLD.words, OLD.parts); END`,
  `CREATE TRIGGER search_removed AFTER DELETE ON search_documents WHEN OLD.words IS NOT NULL
    BEGIN INSERT INTO search_words (search_words, rowid, words, parts)
      VALUES ('delete', OLD.number, OLD.words, OLD.parts); END`,
  `CREATE TRIGGER search_edited AFTER UPDATE OF content_raw ON messages WHEN NEW.deleted_at IS NULL
    BEGIN UPDATE search_documents SET words = NULL, parts = NULL WHERE message_id = NEW.id; END`,
  `CREATE TRIGGER search_deleted AFTER UPDATE OF deleted_at ON messages WHEN NEW.deleted_at IS NOT NULL
    BEGIN DELETE FROM search_documents WHERE message_id = NEW.id; END`
]

export const postgres: ReadonlyArray<string> = [
  ...tables("BIGINT", "words TSVECTOR", ""),
  `CREATE INDEX search_documents_words ON search_documents USING gin (words)`,
  `CREATE FUNCTION search_follow() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.deleted_at IS NULL THEN
      UPDATE search_documents SET words = NULL WHERE message_id = NEW.id;
    ELSE
      DELETE FROM search_documents WHERE message_id = NEW.id;
    END IF;
    RETURN NULL;
  END $$`,
  `CREATE TRIGGER search_follows AFTER UPDATE OF content_raw, deleted_at ON messages
    FOR EACH ROW EXECUTE FUNCTION search_follow()`
]
