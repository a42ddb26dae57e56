-- version 1
CREATE TABLE tenant (key INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE name (key INTEGER PRIMARY KEY, iri TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE entity (
  key INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, id TEXT NOT NULL, lean BLOB NOT NULL, flat INTEGER NOT NULL, sys BLOB NOT NULL,
  created INTEGER NOT NULL, modified INTEGER NOT NULL, expires INTEGER, ripe INTEGER, UNIQUE (tenant, id)
) STRICT;
CREATE INDEX entity_ripe ON entity (ripe) WHERE ripe IS NOT NULL;
CREATE INDEX entity_expires ON entity (expires) WHERE expires IS NOT NULL;
CREATE TABLE etype (tenant INTEGER NOT NULL, type INTEGER NOT NULL, entity INTEGER NOT NULL, PRIMARY KEY (tenant, type, entity)) STRICT, WITHOUT ROWID;
CREATE TABLE eattr (tenant INTEGER NOT NULL, attr INTEGER NOT NULL, entity INTEGER NOT NULL, kinds INTEGER NOT NULL, PRIMARY KEY (tenant, attr, entity)) STRICT, WITHOUT ROWID;
CREATE TABLE declared (attr INTEGER PRIMARY KEY) STRICT;
CREATE TABLE eindex (tenant INTEGER NOT NULL, attr INTEGER NOT NULL, num REAL, text TEXT, entity INTEGER NOT NULL) STRICT;
CREATE INDEX eindex_num ON eindex (attr, tenant, num, entity) WHERE num IS NOT NULL;
CREATE INDEX eindex_text ON eindex (attr, tenant, text, entity) WHERE text IS NOT NULL;
CREATE INDEX eindex_entity ON eindex (entity);
CREATE VIRTUAL TABLE place USING rtree (id, west, east, south, north, +entity INTEGER, +attr INTEGER);
CREATE TABLE tentity (
  key INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, id TEXT NOT NULL, types BLOB NOT NULL, created INTEGER NOT NULL, modified INTEGER NOT NULL,
  UNIQUE (tenant, id)
) STRICT;
CREATE TABLE ttype (tenant INTEGER NOT NULL, type INTEGER NOT NULL, entity INTEGER NOT NULL, PRIMARY KEY (tenant, type, entity)) STRICT, WITHOUT ROWID;
CREATE TABLE partition (month TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE thing (
  seq INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, doc BLOB NOT NULL, state BLOB,
  created INTEGER NOT NULL, modified INTEGER NOT NULL, expires INTEGER, UNIQUE (tenant, kind, id)
) STRICT;
CREATE INDEX thing_kind ON thing (kind, tenant, seq);
CREATE TABLE changed (kind TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, endpoint TEXT NOT NULL, tenant INTEGER NOT NULL, subscription TEXT NOT NULL, word TEXT NOT NULL,
  request BLOB NOT NULL, attempt INTEGER NOT NULL DEFAULT 0, first INTEGER NOT NULL, due INTEGER NOT NULL, owner TEXT NOT NULL DEFAULT '',
  dead INTEGER, error TEXT
) STRICT;
CREATE INDEX outbox_lane ON outbox (endpoint, seq) WHERE dead IS NULL;
CREATE INDEX outbox_word ON outbox (subscription, word, seq) WHERE dead IS NULL;
CREATE INDEX outbox_dead ON outbox (tenant, subscription, seq) WHERE dead IS NOT NULL;
-- version 2
CREATE VIRTUAL TABLE spot USING rtree (id, west, east, south, north);
INSERT INTO spot (id, west, east, south, north) SELECT id, west, east, south, north FROM place;
DROP TABLE place;
ALTER TABLE spot RENAME TO place;
