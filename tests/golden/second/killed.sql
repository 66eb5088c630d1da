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
INSERT INTO "automl_events" VALUES(1,1,'opened',NULL,NULL,1.79544404939232969285e+09,'{"spec":{"schema":1,"name":"killed","seed":2,"objective":{"metric":"loss","direction":"minimize"},"trainer":{"framework":"function","model":"trainers.tiny_function:resumes"},"space":{"model.x":{"float":[-2.0,2.0]},"model.sleep":{"choice":[0.1]},"model.steps":8},"budget":{"trials":5,"failures":5},"search":{"sampler":"qmc","pruner":{"name":"successive_halving","min_resource":2}},"resources":{"cpus":1,"gpus":0,"parallel":2},"retries":2,"timeout":{"silence":"1h"},"storage":"runs","keep":3,"tracking":false},"text":"name: killed\nseed: 2\nobjective: {metric: loss, direction: minimize}\ntrainer: {framework: function, model: \"trainers.tiny_function:resumes\"}\nspace:\n  model.x: {float: [-2.0, 2.0]}\n  model.steps: 8\n  model.sleep: {choice: [0.1]}\nbudget: {trials: 5}\nsearch: {sampler: qmc, pruner: {name: successive_halving, min_resource: 2}}\nresources: {parallel: 2}\ntracking: false\n","versions":{"python":"3.11.7","platform":"Linux","automl":"0.1.0","ray":"2.60.0","optuna":"5.0.0","torch":"2.13.0+cpu","pytorch-lightning":"2.6.6","tensorflow":"2.21.0","keras":"3.15.1","mlflow":"3.17.2"},"git":null,"host":"host-a","pid":6784,"engine":"local","strangers":[]}');
INSERT INTO "automl_events" VALUES(1,2,'asked',0,NULL,1.7954440494123866558e+09,'{"params":{"model.steps":8,"model.x":0.7519222335061073,"model.sleep":0.1},"trainer":"trainer","source":"startup","sampler":"qmc","trial_attrs":{},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,3,'asked',1,NULL,1.7954440524558186531e+09,'{"params":{"model.steps":8,"model.x":0.4132881797850132,"model.sleep":0.1},"trainer":"trainer","source":"sampler","sampler":"qmc","trial_attrs":{},"study_attrs":{"qmc:b6ead516cc52482ca3494fe3e544508dd2892fc2115d9a20b89a33fe3a950ea8":0}}');
INSERT INTO "automl_events" VALUES(1,4,'started',0,1,1.7954440526261827946e+09,'{"pid":6843,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":3.215}');
INSERT INTO "automl_events" VALUES(1,5,'checkpointed',0,1,1.79544405262746763229e+09,'{"step":0,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,6,'reported',0,1,1.79544405264884638783e+09,'{"step":1,"metrics":{"loss":1.065387045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":3.237}');
INSERT INTO "automl_events" VALUES(1,7,'checkpointed',0,1,1.79544405280879020687e+09,'{"step":1,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,8,'reported',0,1,1.79544405281006026267e+09,'{"step":2,"metrics":{"loss":0.815387045240813,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.815387045240813},"alive_s":3.399}');
INSERT INTO "automl_events" VALUES(1,9,'checkpointed',0,1,1.79544405296916532513e+09,'{"step":2,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,10,'reported',0,1,1.79544405298128080363e+09,'{"step":3,"metrics":{"loss":0.690387045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":3.57}');
INSERT INTO "automl_events" VALUES(1,11,'checkpointed',0,1,1.79544405313449192051e+09,'{"step":3,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,12,'reported',0,1,1.79544405315282893176e+09,'{"step":4,"metrics":{"loss":0.627887045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":3.741}');
INSERT INTO "automl_events" VALUES(1,13,'started',1,1,1.79544405326482343671e+09,'{"pid":7032,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":3.853}');
INSERT INTO "automl_events" VALUES(1,14,'checkpointed',0,1,1.79544405329329061511e+09,'{"step":4,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000004"}');
INSERT INTO "automl_events" VALUES(1,15,'reported',0,1,1.7954440532977497578e+09,'{"step":5,"metrics":{"loss":0.596637045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":3.886}');
INSERT INTO "automl_events" VALUES(1,16,'checkpointed',0,1,1.79544405344890379908e+09,'{"step":5,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000005"}');
INSERT INTO "automl_events" VALUES(1,17,'reported',0,1,1.79544405346588325502e+09,'{"step":6,"metrics":{"loss":0.581012045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":4.054}');
INSERT INTO "automl_events" VALUES(1,18,'checkpointed',0,1,1.79544405366913700098e+09,'{"step":6,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000006"}');
INSERT INTO "automl_events" VALUES(1,19,'reported',0,1,1.79544405368886780737e+09,'{"step":7,"metrics":{"loss":0.573199545240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":4.277}');
INSERT INTO "automl_events" VALUES(1,20,'checkpointed',1,1,1.79544405375679326053e+09,'{"step":0,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,21,'reported',1,1,1.79544405377689957623e+09,'{"step":1,"metrics":{"loss":0.6708071195500094,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":4.366}');
INSERT INTO "automl_events" VALUES(1,22,'checkpointed',0,1,1.79544405385295701023e+09,'{"step":7,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000007"}');
INSERT INTO "automl_events" VALUES(1,23,'reported',0,1,1.79544405388487625123e+09,'{"step":8,"metrics":{"loss":0.569293295240813,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_1":0.569293295240813},"alive_s":4.473}');
INSERT INTO "automl_events" VALUES(1,24,'ended',0,1,1.79544405389923095702e+09,'{"outcome":"complete","alive_s":4.488}');
INSERT INTO "automl_events" VALUES(1,25,'finished',0,NULL,1.79544405389923095702e+09,'{"state":"COMPLETE","values":[0.569293295240813],"step":8}');
INSERT INTO "automl_events" VALUES(1,26,'checkpointed',1,1,1.79544405392688679688e+09,'{"step":1,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,27,'reported',1,1,1.79544405396478795999e+09,'{"step":2,"metrics":{"loss":0.4208071195500094,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.4208071195500094},"alive_s":4.553}');
INSERT INTO "automl_events" VALUES(1,28,'asked',2,NULL,1.79544405399800634389e+09,'{"params":{"model.steps":8,"model.x":-0.05257759243249893,"model.sleep":0.1},"trainer":"trainer","source":"sampler","sampler":"qmc","trial_attrs":{},"study_attrs":{"qmc:b6ead516cc52482ca3494fe3e544508dd2892fc2115d9a20b89a33fe3a950ea8":1}}');
INSERT INTO "automl_events" VALUES(1,29,'started',2,1,1.79544405403613400464e+09,'{"pid":6843,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":4.625}');
INSERT INTO "automl_events" VALUES(1,30,'checkpointed',1,1,1.79544405413273406029e+09,'{"step":2,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,31,'reported',1,1,1.79544405414115786556e+09,'{"step":3,"metrics":{"loss":0.2958071195500094,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":4.73}');
INSERT INTO "automl_events" VALUES(1,32,'checkpointed',2,1,1.79544405416934776302e+09,'{"step":0,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,33,'reported',2,1,1.79544405417354393009e+09,'{"step":1,"metrics":{"loss":0.5027644032259979,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":4.762}');
INSERT INTO "automl_events" VALUES(1,34,'checkpointed',1,1,1.79544405430091166494e+09,'{"step":3,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,35,'reported',1,1,1.79544405430981421478e+09,'{"step":4,"metrics":{"loss":0.2333071195500094,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":4.898}');
INSERT INTO "automl_events" VALUES(1,36,'checkpointed',2,1,1.79544405431732320786e+09,'{"step":1,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,37,'reported',2,1,1.795444054321639061e+09,'{"step":2,"metrics":{"loss":0.25276440322599797,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.25276440322599797},"alive_s":4.91}');
INSERT INTO "automl_events" VALUES(1,38,'checkpointed',1,1,1.7954440544807274342e+09,'{"step":4,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000004"}');
INSERT INTO "automl_events" VALUES(1,39,'reported',1,1,1.79544405449284124372e+09,'{"step":5,"metrics":{"loss":0.2020571195500094,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":5.081}');
INSERT INTO "automl_events" VALUES(1,40,'checkpointed',2,1,1.79544405449393939967e+09,'{"step":2,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,41,'reported',2,1,1.79544405450492954249e+09,'{"step":3,"metrics":{"loss":0.12776440322599797,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":5.094}');
INSERT INTO "automl_events" VALUES(1,42,'checkpointed',1,1,1.79544405465270256994e+09,'{"step":5,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000005"}');
INSERT INTO "automl_events" VALUES(1,43,'reported',1,1,1.79544405465400958065e+09,'{"step":6,"metrics":{"loss":0.1864321195500094,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":5.243}');
INSERT INTO "automl_events" VALUES(1,44,'checkpointed',2,1,1.79544405467671370504e+09,'{"step":3,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,45,'reported',2,1,1.79544405468162584301e+09,'{"step":4,"metrics":{"loss":0.06526440322599797,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":5.27}');
INSERT INTO "automl_events" VALUES(1,46,'checkpointed',1,1,1.79544405481736874582e+09,'{"step":6,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000006"}');
INSERT INTO "automl_events" VALUES(1,47,'reported',1,1,1.79544405482171106334e+09,'{"step":7,"metrics":{"loss":0.1786196195500094,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":5.41}');
INSERT INTO "automl_events" VALUES(1,48,'checkpointed',2,1,1.79544405483685421938e+09,'{"step":4,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000004"}');
INSERT INTO "automl_events" VALUES(1,49,'reported',2,1,1.79544405486091351508e+09,'{"step":5,"metrics":{"loss":0.03401440322599797,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":5.45}');
INSERT INTO "automl_events" VALUES(1,50,'checkpointed',1,1,1.79544405497691440583e+09,'{"step":7,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000007"}');
INSERT INTO "automl_events" VALUES(1,51,'reported',1,1,1.79544405497808814056e+09,'{"step":8,"metrics":{"loss":0.1747133695500094,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_1":0.1747133695500094},"alive_s":5.567}');
INSERT INTO "automl_events" VALUES(1,52,'ended',1,1,1.79544405498976325985e+09,'{"outcome":"complete","alive_s":5.578}');
INSERT INTO "automl_events" VALUES(1,53,'finished',1,NULL,1.79544405498976325985e+09,'{"state":"COMPLETE","values":[0.1747133695500094],"step":8}');
INSERT INTO "automl_events" VALUES(1,54,'asked',3,NULL,1.7954440549924249649e+09,'{"params":{"model.steps":8,"model.x":-1.9085369370877743,"model.sleep":0.1},"trainer":"trainer","source":"sampler","sampler":"qmc","trial_attrs":{},"study_attrs":{"qmc:b6ead516cc52482ca3494fe3e544508dd2892fc2115d9a20b89a33fe3a950ea8":2}}');
INSERT INTO "automl_events" VALUES(1,55,'checkpointed',2,1,1.79544405501802492143e+09,'{"step":5,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000005"}');
INSERT INTO "automl_events" VALUES(1,56,'started',3,1,1.79544405501924777025e+09,'{"pid":7032,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":5.608}');
INSERT INTO "automl_events" VALUES(1,57,'reported',2,1,1.79544405502888083456e+09,'{"step":6,"metrics":{"loss":0.01838940322599797,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":5.617}');
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
INSERT INTO "automl_leases" VALUES(1,1,'d7962ad6035640b7b54734badf7e4937','host-a','@MACHINE@',6784,16314.9,0,30.0);
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
INSERT INTO "automl_searches" VALUES(1,'killed',1.79544404866596126555e+09);
CREATE UNIQUE INDEX automl_finished_once ON automl_events (search_id, trial) WHERE kind = 'finished';
CREATE UNIQUE INDEX automl_asked_once ON automl_events (search_id, trial) WHERE kind = 'asked';
COMMIT;
