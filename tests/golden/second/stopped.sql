BEGIN TRANSACTION;
CREATE TABLE automl_events (
	search_id INTEGER NOT NULL, 
	n BIGINT NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	trial INTEGER, 
	attempt INTEGER, 
	time_s DOUBLE NOT NULL, 
	data TEXT NOT NULL, 
	PRIMARY KEY (search_id, n), 
	FOREIGN KEY(search_id) REFERENCES automl_searches (id)
);
INSERT INTO "automl_events" VALUES(1,1,'opened',NULL,NULL,1.79544408900047898296e+09,'{"spec":{"schema":1,"name":"stopped","seed":2,"objective":{"metric":"loss","direction":"minimize"},"trainer":{"framework":"function","model":"trainers.tiny_function:resumes"},"space":{"model.x":{"float":[-2.0,2.0]},"model.sleep":{"choice":[0.1]},"model.steps":8},"budget":{"trials":5,"failures":5},"search":{"sampler":"random","pruner":{"name":"successive_halving","min_resource":2}},"resources":{"cpus":1,"gpus":0,"parallel":2},"retries":2,"timeout":{"silence":"1h"},"storage":"runs","keep":3,"tracking":false},"text":"name: stopped\nseed: 2\nobjective: {metric: loss, direction: minimize}\ntrainer: {framework: function, model: \"trainers.tiny_function:resumes\"}\nspace:\n  model.x: {float: [-2.0, 2.0]}\n  model.steps: 8\n  model.sleep: {choice: [0.1]}\nbudget: {trials: 5}\nsearch: {sampler: random, pruner: {name: successive_halving, min_resource: 2}}\nresources: {parallel: 2}\ntracking: false\n","versions":{"python":"3.11.7","platform":"Linux","automl":"0.1.0","ray":"2.60.0","optuna":"5.0.0","torch":"2.13.0+cpu","pytorch-lightning":"2.6.6","tensorflow":"2.21.0","keras":"3.15.1","mlflow":"3.17.2"},"git":null,"host":"host-a","pid":7648,"engine":"local","strangers":[]}');
INSERT INTO "automl_events" VALUES(1,2,'asked',0,NULL,1.79544408905043077467e+09,'{"params":{"model.steps":8,"model.x":0.7519222335061073,"model.sleep":0.1},"trainer":"trainer","source":"sampler","sampler":"random","trial_attrs":{},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,3,'asked',1,NULL,1.79544408906925320626e+09,'{"params":{"model.steps":8,"model.x":1.457711045570517,"model.sleep":0.1},"trainer":"trainer","source":"sampler","sampler":"random","trial_attrs":{},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,4,'started',0,1,1.79544408917969489092e+09,'{"pid":7788,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.13}');
INSERT INTO "automl_events" VALUES(1,5,'checkpointed',0,1,1.79544408950094747543e+09,'{"step":0,"path":"@ROOT@/runs/stopped/trials/0/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,6,'reported',0,1,1.79544408950525140765e+09,'{"step":1,"metrics":{"loss":1.065387045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.456}');
INSERT INTO "automl_events" VALUES(1,7,'checkpointed',0,1,1.79544408965675854686e+09,'{"step":1,"path":"@ROOT@/runs/stopped/trials/0/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,8,'reported',0,1,1.79544408968104124068e+09,'{"step":2,"metrics":{"loss":0.815387045240813,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.815387045240813},"alive_s":0.632}');
INSERT INTO "automl_events" VALUES(1,9,'checkpointed',0,1,1.79544408984085559848e+09,'{"step":2,"path":"@ROOT@/runs/stopped/trials/0/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,10,'started',1,1,1.79544408984259152412e+09,'{"pid":7830,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.793}');
INSERT INTO "automl_events" VALUES(1,11,'reported',0,1,1.79544408985552620891e+09,'{"step":3,"metrics":{"loss":0.690387045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.806}');
INSERT INTO "automl_events" VALUES(1,12,'checkpointed',0,1,1.79544409000089216234e+09,'{"step":3,"path":"@ROOT@/runs/stopped/trials/0/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,13,'reported',0,1,1.79544409002502083775e+09,'{"step":4,"metrics":{"loss":0.627887045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.976}');
INSERT INTO "automl_events" VALUES(1,14,'checkpointed',0,1,1.79544409018299841885e+09,'{"step":4,"path":"@ROOT@/runs/stopped/trials/0/checkpoint-00000004"}');
INSERT INTO "automl_events" VALUES(1,15,'reported',0,1,1.79544409020873856541e+09,'{"step":5,"metrics":{"loss":0.596637045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":1.16}');
INSERT INTO "automl_events" VALUES(1,16,'checkpointed',1,1,1.79544409024568176269e+09,'{"step":0,"path":"@ROOT@/runs/stopped/trials/1/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,17,'reported',1,1,1.79544409024695730209e+09,'{"step":1,"metrics":{"loss":2.6249214923782898,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":1.198}');
INSERT INTO "automl_events" VALUES(1,18,'checkpointed',0,1,1.79544409037901234625e+09,'{"step":5,"path":"@ROOT@/runs/stopped/trials/0/checkpoint-00000005"}');
INSERT INTO "automl_events" VALUES(1,19,'reported',0,1,1.79544409039105105395e+09,'{"step":6,"metrics":{"loss":0.581012045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":1.342}');
INSERT INTO "automl_events" VALUES(1,20,'checkpointed',1,1,1.79544409039912533764e+09,'{"step":1,"path":"@ROOT@/runs/stopped/trials/1/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,21,'reported',1,1,1.79544409044093799588e+09,'{"step":2,"metrics":{"loss":2.3749214923782898,"first":1.0},"prune":true,"trial_attrs":{"completed_rung_0":2.3749214923782898},"alive_s":1.392}');
INSERT INTO "automl_events" VALUES(1,22,'ended',1,1,1.79544409044093799588e+09,'{"outcome":"pruned","alive_s":1.392}');
INSERT INTO "automl_events" VALUES(1,23,'finished',1,NULL,1.79544409044093799588e+09,'{"state":"PRUNED","reason":"pruned at step 2"}');
INSERT INTO "automl_events" VALUES(1,24,'checkpointed',0,1,1.79544409050690865516e+09,'{"step":6,"path":"@ROOT@/runs/stopped/trials/0/checkpoint-00000006"}');
INSERT INTO "automl_events" VALUES(1,25,'reported',0,1,1.79544409052979445453e+09,'{"step":7,"metrics":{"loss":0.573199545240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":1.481}');
INSERT INTO "automl_events" VALUES(1,26,'ended',0,1,1.79544409053440403938e+09,'{"outcome":"stopped","ruling":"the search was stopped; the trial goes on at the next start","again":true,"alive_s":1.485}');
INSERT INTO "automl_events" VALUES(1,27,'closed',NULL,NULL,1.79544409068620514869e+09,'{"state":"STOPPED","reason":"SIGTERM","alive_s":1.637}');
CREATE TABLE automl_leases (
	search_id INTEGER NOT NULL, 
	fence BIGINT NOT NULL, 
	token VARCHAR(40), 
	host VARCHAR(255) NOT NULL, 
	machine VARCHAR(255) NOT NULL, 
	pid INTEGER NOT NULL, 
	pid_started_s DOUBLE NOT NULL, 
	beat BIGINT NOT NULL, 
	period_s DOUBLE NOT NULL, 
	PRIMARY KEY (search_id), 
	FOREIGN KEY(search_id) REFERENCES automl_searches (id)
);
INSERT INTO "automl_leases" VALUES(1,1,NULL,'host-a','@MACHINE@',7648,16352.53,0,30.0);
CREATE TABLE automl_schema (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "automl_schema" VALUES(1);
CREATE TABLE automl_searches (
	id INTEGER NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	created_s DOUBLE NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "automl_searches" VALUES(1,'stopped',1.79544408779411840439e+09);
CREATE UNIQUE INDEX automl_finished_once ON automl_events (search_id, trial) WHERE kind = 'finished';
CREATE UNIQUE INDEX automl_asked_once ON automl_events (search_id, trial) WHERE kind = 'asked';
COMMIT;
