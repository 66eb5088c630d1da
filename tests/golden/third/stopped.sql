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
INSERT INTO "automl_events" VALUES(1,1,'opened',NULL,NULL,1.7957756659757833481e+09,'{"spec":{"schema":1,"name":"stopped","seed":2,"objective":{"metric":"loss","direction":"minimize"},"trainer":{"framework":"function","model":"trainers.tiny_function:resumes"},"space":{"model.x":{"float":[-2.0,2.0]},"model.sleep":{"choice":[0.1]},"model.steps":8},"budget":{"trials":5,"failures":5},"search":{"sampler":"random","pruner":{"name":"successive_halving","min_resource":2}},"resources":{"cpus":1,"gpus":0,"parallel":2},"retries":2,"timeout":{"silence":"1h"},"storage":"runs","keep":3,"tracking":false},"text":"name: stopped\nseed: 2\nobjective: {metric: loss, direction: minimize}\ntrainer: {framework: function, model: \"trainers.tiny_function:resumes\"}\nspace:\n  model.x: {float: [-2.0, 2.0]}\n  model.steps: 8\n  model.sleep: {choice: [0.1]}\nbudget: {trials: 5}\nsearch: {sampler: random, pruner: {name: successive_halving, min_resource: 2}}\nresources: {parallel: 2}\ntracking: false\n","versions":{"python":"3.11.7","platform":"Linux","automl":"0.1.0","ray":"2.60.0","optuna":"5.0.0","torch":"2.13.0+cpu","pytorch-lightning":"2.6.6","tensorflow":"2.21.0","keras":"3.15.1","mlflow":"3.17.2"},"git":null,"host":"host-a","pid":19031,"engine":"local","owner":"ann@host-a","strangers":[]}');
INSERT INTO "automl_events" VALUES(1,2,'asked',0,NULL,1.79577566598200058936e+09,'{"params":{"model.steps":8,"model.x":0.7519222335061073,"model.sleep":0.1},"trainer":"trainer","source":"sampler","sampler":"random","trial_attrs":{},"study_attrs":{},"seen":1}');
INSERT INTO "automl_events" VALUES(1,3,'asked',1,NULL,1.79577566598654556279e+09,'{"params":{"model.steps":8,"model.x":1.457711045570517,"model.sleep":0.1},"trainer":"trainer","source":"sampler","sampler":"random","trial_attrs":{},"study_attrs":{},"seen":2}');
INSERT INTO "automl_events" VALUES(1,4,'started',0,1,1.79577566600152444846e+09,'{"pid":19047,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.021}');
INSERT INTO "automl_events" VALUES(1,5,'started',1,1,1.79577566600615501401e+09,'{"pid":19042,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.026}');
INSERT INTO "automl_events" VALUES(1,6,'checkpointed',1,1,1.79577566642048406598e+09,'{"step":0,"path":"@ROOT@/runs/stopped/trials/1/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,7,'reported',1,1,1.7957756664480175972e+09,'{"step":1,"metrics":{"loss":2.6249214923782898,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.468}');
INSERT INTO "automl_events" VALUES(1,8,'checkpointed',0,1,1.7957756664495973587e+09,'{"step":0,"path":"@ROOT@/runs/stopped/trials/0/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,9,'reported',0,1,1.79577566645036363606e+09,'{"step":1,"metrics":{"loss":1.065387045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.47}');
INSERT INTO "automl_events" VALUES(1,10,'checkpointed',0,1,1.79577566658869838714e+09,'{"step":1,"path":"@ROOT@/runs/stopped/trials/0/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,11,'reported',0,1,1.79577566659495329853e+09,'{"step":2,"metrics":{"loss":0.815387045240813,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.815387045240813},"alive_s":0.614}');
INSERT INTO "automl_events" VALUES(1,12,'checkpointed',1,1,1.79577566659656381606e+09,'{"step":1,"path":"@ROOT@/runs/stopped/trials/1/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,13,'reported',1,1,1.79577566660130381586e+09,'{"step":2,"metrics":{"loss":2.3749214923782898,"first":1.0},"prune":true,"trial_attrs":{"completed_rung_0":2.3749214923782898},"alive_s":0.621}');
INSERT INTO "automl_events" VALUES(1,14,'ended',1,1,1.79577566660130381586e+09,'{"outcome":"pruned","alive_s":0.621}');
INSERT INTO "automl_events" VALUES(1,15,'finished',1,NULL,1.79577566660130381586e+09,'{"state":"PRUNED","reason":"pruned at step 2"}');
INSERT INTO "automl_events" VALUES(1,16,'asked',2,NULL,1.79577566662301015857e+09,'{"params":{"model.steps":8,"model.x":-0.8549692903004718,"model.sleep":0.1},"trainer":"trainer","source":"sampler","sampler":"random","trial_attrs":{},"study_attrs":{},"seen":3}');
INSERT INTO "automl_events" VALUES(1,17,'started',2,1,1.79577566664005732538e+09,'{"pid":19042,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.66}');
INSERT INTO "automl_events" VALUES(1,18,'checkpointed',0,1,1.79577566676109886168e+09,'{"step":2,"path":"@ROOT@/runs/stopped/trials/0/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,19,'reported',0,1,1.79577566678002762791e+09,'{"step":3,"metrics":{"loss":0.690387045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.8}');
INSERT INTO "automl_events" VALUES(1,20,'checkpointed',2,1,1.79577566678262209899e+09,'{"step":0,"path":"@ROOT@/runs/stopped/trials/2/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,21,'reported',2,1,1.79577566679177212712e+09,'{"step":1,"metrics":{"loss":1.2309724873568924,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.811}');
INSERT INTO "automl_events" VALUES(1,22,'checkpointed',0,1,1.7957756669422268868e+09,'{"step":3,"path":"@ROOT@/runs/stopped/trials/0/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,23,'reported',0,1,1.79577566695248055459e+09,'{"step":4,"metrics":{"loss":0.627887045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.972}');
INSERT INTO "automl_events" VALUES(1,24,'checkpointed',2,1,1.79577566695877504352e+09,'{"step":1,"path":"@ROOT@/runs/stopped/trials/2/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,25,'reported',2,1,1.79577566696025896068e+09,'{"step":2,"metrics":{"loss":0.9809724873568924,"first":1.0},"prune":true,"trial_attrs":{"completed_rung_0":0.9809724873568924},"alive_s":0.98}');
INSERT INTO "automl_events" VALUES(1,26,'ended',2,1,1.79577566696025896068e+09,'{"outcome":"pruned","alive_s":0.98}');
INSERT INTO "automl_events" VALUES(1,27,'finished',2,NULL,1.79577566696025896068e+09,'{"state":"PRUNED","reason":"pruned at step 2"}');
INSERT INTO "automl_events" VALUES(1,28,'checkpointed',0,1,1.79577566718383383748e+09,'{"step":4,"path":"@ROOT@/runs/stopped/trials/0/checkpoint-00000004"}');
INSERT INTO "automl_events" VALUES(1,29,'reported',0,1,1.7957756671991524696e+09,'{"step":5,"metrics":{"loss":0.596637045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":1.219}');
INSERT INTO "automl_events" VALUES(1,30,'ended',0,1,1.79577566721103143694e+09,'{"outcome":"stopped","ruling":"the search was stopped; the trial goes on at the next start","again":true,"alive_s":1.231}');
INSERT INTO "automl_events" VALUES(1,31,'closed',NULL,NULL,1.79577566729258346562e+09,'{"state":"STOPPED","reason":"SIGTERM","alive_s":1.312}');
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
	beaten_s DOUBLE, 
	PRIMARY KEY (search_id), 
	FOREIGN KEY(search_id) REFERENCES automl_searches (id)
);
INSERT INTO "automl_leases" VALUES(1,1,NULL,'host-a','@MACHINE@',19031,33728.53,0,30.0,1.79577566587198376654e+09);
CREATE TABLE automl_requests (
	id INTEGER NOT NULL, 
	search_id INTEGER NOT NULL, 
	fence BIGINT NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	asked_s DOUBLE NOT NULL, 
	asked_by VARCHAR(255) NOT NULL, 
	answered_s DOUBLE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(search_id) REFERENCES automl_searches (id)
);
CREATE TABLE automl_schema (
	version INTEGER NOT NULL, 
	written_by VARCHAR(40), 
	PRIMARY KEY (version)
);
INSERT INTO "automl_schema" VALUES(2,'0.1.0');
CREATE TABLE automl_searches (
	id INTEGER NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	created_s DOUBLE NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "automl_searches" VALUES(1,'stopped',1.79577566586238408091e+09);
CREATE UNIQUE INDEX automl_asked_once ON automl_events (search_id, trial) WHERE kind = 'asked';
CREATE UNIQUE INDEX automl_finished_once ON automl_events (search_id, trial) WHERE kind = 'finished';
CREATE INDEX automl_requests_search ON automl_requests (search_id);
COMMIT;
