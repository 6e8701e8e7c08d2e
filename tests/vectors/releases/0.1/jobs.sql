BEGIN TRANSACTION;
CREATE TABLE anchors (
	service VARCHAR(2000) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	method VARCHAR(20) NOT NULL, 
	what VARCHAR(12) NOT NULL, 
	subject VARCHAR(80) NOT NULL, 
	tree_size INTEGER NOT NULL, 
	note TEXT NOT NULL, 
	state VARCHAR(12) NOT NULL, 
	proof BLOB NOT NULL, 
	event_id BLOB, 
	owed_at INTEGER NOT NULL, 
	submitted_at INTEGER NOT NULL, 
	tries INTEGER NOT NULL, 
	try_at INTEGER NOT NULL, 
	said TEXT NOT NULL, 
	told BOOLEAN NOT NULL, 
	failures INTEGER NOT NULL, 
	failing_since INTEGER NOT NULL, 
	ends_at INTEGER NOT NULL, 
	refused_under INTEGER NOT NULL, 
	attested_time VARCHAR(20) NOT NULL, 
	height INTEGER NOT NULL, 
	PRIMARY KEY (service, sha256)
);
CREATE TABLE brought (
	day INTEGER NOT NULL, 
	bytes INTEGER NOT NULL, 
	PRIMARY KEY (day)
);
CREATE TABLE clocks (
	service VARCHAR(2000) NOT NULL, 
	failures INTEGER NOT NULL, 
	tried_at INTEGER NOT NULL, 
	try_at INTEGER NOT NULL, 
	stamped_at INTEGER NOT NULL, 
	said TEXT NOT NULL, 
	refused_under INTEGER NOT NULL, 
	PRIMARY KEY (service)
);
CREATE TABLE copies (
	id INTEGER NOT NULL, 
	subject VARCHAR(40) NOT NULL, 
	kind VARCHAR(10) NOT NULL, 
	url VARCHAR(2000) NOT NULL, 
	tries INTEGER NOT NULL, 
	looked_at INTEGER NOT NULL, 
	next_at INTEGER NOT NULL, 
	said TEXT NOT NULL, 
	suspect VARCHAR(80) NOT NULL, 
	suspect_at INTEGER NOT NULL, 
	evidence BLOB NOT NULL, 
	event_id BLOB NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (subject, kind, url)
);
INSERT INTO "copies" VALUES(1,'pith:2026:LZHJ7LOR3B6UW3OWPF3CU6EJM3','wayback','https://web.archive.org/web/2026/https://arxiv.org/abs/2606.00001',0,0,1781884800000025,'','',0,X'',X'');
CREATE TABLE cursors (
	name VARCHAR(80) NOT NULL, 
	position INTEGER NOT NULL, 
	event_id BLOB, 
	PRIMARY KEY (name)
);
INSERT INTO "cursors" VALUES('copies',30,X'57CF9C0DAD27171C7B6A2B718C42D940ADB1B29B3B14F23F2EAE6FF758504EC8');
CREATE TABLE leases (
	name VARCHAR(80) NOT NULL, 
	holder VARCHAR(120) NOT NULL, 
	expires_at INTEGER NOT NULL, 
	fence INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "leases" VALUES('anchor','',0,1);
INSERT INTO "leases" VALUES('upgrade','',0,1);
INSERT INTO "leases" VALUES('check','',0,1);
CREATE TABLE outbox (
	id INTEGER NOT NULL, 
	event_id BLOB NOT NULL, 
	event BLOB NOT NULL, 
	disclosures TEXT NOT NULL, 
	key_name VARCHAR(40) NOT NULL, 
	put_at INTEGER NOT NULL, 
	try_at INTEGER NOT NULL, 
	refused TEXT NOT NULL, 
	code VARCHAR(40) NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (event_id)
);
CREATE TABLE preservations (
	id INTEGER NOT NULL, 
	subject VARCHAR(40) NOT NULL, 
	url VARCHAR(2000) NOT NULL, 
	place VARCHAR(120) NOT NULL, 
	request_id VARCHAR(32) NOT NULL, 
	asked_at INTEGER NOT NULL, 
	state VARCHAR(10) NOT NULL, 
	job VARCHAR(200) NOT NULL, 
	begun_at INTEGER NOT NULL, 
	content TEXT NOT NULL, 
	location TEXT NOT NULL, 
	gone_at INTEGER NOT NULL, 
	tries INTEGER NOT NULL, 
	next_at INTEGER NOT NULL, 
	said TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (subject, url, place)
);
CREATE TABLE requests (
	id VARCHAR(80) NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	suffix VARCHAR(26) NOT NULL, 
	url TEXT NOT NULL, 
	asked_at INTEGER NOT NULL, 
	done_at INTEGER NOT NULL, 
	said TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE resting_places (
	place VARCHAR(120) NOT NULL, 
	failures INTEGER NOT NULL, 
	until INTEGER NOT NULL, 
	said TEXT NOT NULL, 
	PRIMARY KEY (place)
);
CREATE TABLE runs (
	name VARCHAR(80) NOT NULL, 
	holder VARCHAR(120) NOT NULL, 
	started_at INTEGER NOT NULL, 
	ended_at INTEGER NOT NULL, 
	next_at INTEGER NOT NULL, 
	outcome VARCHAR(20) NOT NULL, 
	said TEXT NOT NULL, 
	failures INTEGER NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "runs" VALUES('anchor','vm:26838:2b44bfcb',1781884800000008,1781884800000011,1781884860000011,'done','',0);
INSERT INTO "runs" VALUES('upgrade','vm:26838:2b44bfcb',1781884800000015,1781884800000018,1781884860000018,'done','',0);
INSERT INTO "runs" VALUES('check','vm:26838:2b44bfcb',1781884800000023,1781884800000029,1781884810000029,'done','',0);
CREATE TABLE workers (
	holder VARCHAR(120) NOT NULL, 
	since INTEGER NOT NULL, 
	seen_at INTEGER NOT NULL, 
	jobs TEXT NOT NULL, 
	PRIMARY KEY (holder)
);
CREATE INDEX ix_requests_kind ON requests (kind);
CREATE INDEX ix_anchors_state ON anchors (state, service);
CREATE INDEX ix_preservations_next_at ON preservations (next_at);
CREATE INDEX ix_preservations_request_id ON preservations (request_id);
CREATE INDEX ix_copies_next_at ON copies (next_at);
COMMIT;
