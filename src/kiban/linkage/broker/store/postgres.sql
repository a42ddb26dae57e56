-- version 1
CREATE EXTENSION IF NOT EXISTS postgis;
CREATE TABLE tenant (key INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE name (key INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, iri TEXT COLLATE "C" NOT NULL UNIQUE);
CREATE TABLE entity (
  key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant INTEGER NOT NULL, id TEXT COLLATE "C" NOT NULL, lean BYTEA NOT NULL, flat INTEGER NOT NULL,
  sys BYTEA NOT NULL, doc JSONB NOT NULL, created BIGINT NOT NULL, modified BIGINT NOT NULL, expires BIGINT, ripe BIGINT, UNIQUE (tenant, id)
) WITH (fillfactor = 80);
CREATE INDEX entity_ripe ON entity (ripe) WHERE ripe IS NOT NULL;
CREATE INDEX entity_expires ON entity (expires) WHERE expires IS NOT NULL;
CREATE TABLE etype (tenant INTEGER NOT NULL, type INTEGER NOT NULL, entity BIGINT NOT NULL, PRIMARY KEY (tenant, type, entity));
CREATE TABLE eattr (tenant INTEGER NOT NULL, attr INTEGER NOT NULL, entity BIGINT NOT NULL, kinds INTEGER NOT NULL, PRIMARY KEY (tenant, attr, entity));
CREATE TABLE declared (attr INTEGER PRIMARY KEY);
CREATE TABLE eindex (tenant INTEGER NOT NULL, attr INTEGER NOT NULL, num DOUBLE PRECISION, text TEXT COLLATE "C", entity BIGINT NOT NULL);
CREATE INDEX eindex_num ON eindex (attr, tenant, num, entity) WHERE num IS NOT NULL;
CREATE INDEX eindex_text ON eindex (attr, tenant, text, entity) WHERE text IS NOT NULL;
CREATE INDEX eindex_entity ON eindex (entity);
CREATE TABLE place (entity BIGINT NOT NULL, attr INTEGER NOT NULL, shape geometry NOT NULL);
CREATE INDEX place_shape ON place USING gist (shape);
CREATE INDEX place_entity ON place (entity);
CREATE TABLE tentity (
  key BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant INTEGER NOT NULL, id TEXT COLLATE "C" NOT NULL, types BYTEA NOT NULL,
  created BIGINT NOT NULL, modified BIGINT NOT NULL, UNIQUE (tenant, id)
);
CREATE TABLE ttype (tenant INTEGER NOT NULL, type INTEGER NOT NULL, entity BIGINT NOT NULL, PRIMARY KEY (tenant, type, entity));
CREATE TABLE partition (month TEXT PRIMARY KEY);
CREATE TABLE thing (
  seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT COLLATE "C" NOT NULL, doc BYTEA NOT NULL, state BYTEA,
  created BIGINT NOT NULL, modified BIGINT NOT NULL, expires BIGINT, UNIQUE (tenant, kind, id)
);
CREATE INDEX thing_kind ON thing (kind, tenant, seq);
CREATE TABLE changed (kind TEXT PRIMARY KEY, n BIGINT NOT NULL);
CREATE TABLE outbox (
  seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, endpoint TEXT COLLATE "C" NOT NULL, tenant INTEGER NOT NULL, subscription TEXT COLLATE "C" NOT NULL,
  word TEXT COLLATE "C" NOT NULL, request BYTEA NOT NULL, attempt INTEGER NOT NULL DEFAULT 0, first BIGINT NOT NULL, due BIGINT NOT NULL,
  owner TEXT NOT NULL DEFAULT '', dead BIGINT, error TEXT
);
CREATE INDEX outbox_lane ON outbox (endpoint, seq) WHERE dead IS NULL;
CREATE INDEX outbox_word ON outbox (subscription, word, seq) WHERE dead IS NULL;
CREATE INDEX outbox_dead ON outbox (tenant, subscription, seq) WHERE dead IS NOT NULL;
