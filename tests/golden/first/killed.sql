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
INSERT INTO "automl_events" VALUES(1,1,'opened',NULL,NULL,1.79544232661195898056e+09,'{"spec":{"schema":1,"name":"killed","seed":2,"objective":{"metric":"loss","direction":"minimize"},"trainer":{"framework":"function","model":"trainers.tiny_function:resumes"},"space":{"model.x":{"float":[-2.0,2.0]},"model.sleep":{"choice":[0.1]},"model.steps":8},"budget":{"trials":5,"failures":5},"search":{"sampler":"qmc","pruner":{"name":"successive_halving","min_resource":2}},"resources":{"cpus":1,"gpus":0,"parallel":2},"retries":2,"storage":"runs","tracking":false},"text":"name: killed\nseed: 2\nobjective: {metric: loss, direction: minimize}\ntrainer: {framework: function, model: \"trainers.tiny_function:resumes\"}\nspace:\n  model.x: {float: [-2.0, 2.0]}\n  model.steps: 8\n  model.sleep: {choice: [0.1]}\nbudget: {trials: 5}\nsearch: {sampler: qmc, pruner: {name: successive_halving, min_resource: 2}}\nresources: {parallel: 2}\ntracking: false\n","versions":{"python":"3.11.7","platform":"Linux","automl":"0.1.0","ray":"2.60.0","optuna":"5.0.0","torch":"2.13.0+cpu","pytorch-lightning":"2.6.6","tensorflow":"2.21.0","keras":"3.15.1","mlflow":"3.17.2"},"git":null,"host":"host-a","pid":28344,"engine":"local","strangers":[]}');
INSERT INTO "automl_events" VALUES(1,2,'asked',0,NULL,1.79544232662495255466e+09,'{"params":{"model.steps":8,"model.x":0.7519222335061073,"model.sleep":0.1},"trainer":"trainer","source":"startup","sampler":"qmc","trial_attrs":{},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,3,'asked',1,NULL,1.79544232761887288091e+09,'{"params":{"model.steps":8,"model.x":0.4132881797850132,"model.sleep":0.1},"trainer":"trainer","source":"sampler","sampler":"qmc","trial_attrs":{},"study_attrs":{"qmc:b6ead516cc52482ca3494fe3e544508dd2892fc2115d9a20b89a33fe3a950ea8":0}}');
INSERT INTO "automl_events" VALUES(1,4,'started',0,1,1.79544232763691258432e+09,'{"pid":28349,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"b698b08ca3b97b0a","resumed_step":0}');
INSERT INTO "automl_events" VALUES(1,5,'checkpointed',0,1,1.79544232763778972622e+09,'{"step":0,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,6,'reported',0,1,1.79544232763823795318e+09,'{"step":1,"metrics":{"loss":1.065387045240813,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,7,'checkpointed',0,1,1.79544232774486970903e+09,'{"step":1,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,8,'reported',0,1,1.79544232774592041963e+09,'{"step":2,"metrics":{"loss":0.815387045240813,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.815387045240813}}');
INSERT INTO "automl_events" VALUES(1,9,'started',1,1,1.79544232779438352586e+09,'{"pid":28404,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"b698b08ca3b97b0a","resumed_step":0}');
INSERT INTO "automl_events" VALUES(1,10,'checkpointed',0,1,1.7954423278528342247e+09,'{"step":2,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,11,'reported',0,1,1.79544232785426712039e+09,'{"step":3,"metrics":{"loss":0.690387045240813,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,12,'checkpointed',0,1,1.79544232796237373354e+09,'{"step":3,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,13,'reported',0,1,1.79544232796348476408e+09,'{"step":4,"metrics":{"loss":0.627887045240813,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,14,'checkpointed',1,1,1.79544232796793103222e+09,'{"step":0,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,15,'reported',1,1,1.79544232796866250036e+09,'{"step":1,"metrics":{"loss":0.6708071195500094,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,16,'checkpointed',0,1,1.795442328074632883e+09,'{"step":4,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000004"}');
INSERT INTO "automl_events" VALUES(1,17,'checkpointed',1,1,1.79544232807553362845e+09,'{"step":1,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,18,'reported',1,1,1.79544232807607340813e+09,'{"step":2,"metrics":{"loss":0.4208071195500094,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.4208071195500094}}');
INSERT INTO "automl_events" VALUES(1,19,'reported',0,1,1.79544232808080983163e+09,'{"step":5,"metrics":{"loss":0.596637045240813,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,20,'checkpointed',1,1,1.79544232818096971514e+09,'{"step":2,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,21,'reported',1,1,1.79544232818876934049e+09,'{"step":3,"metrics":{"loss":0.2958071195500094,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,22,'checkpointed',0,1,1.79544232818961286548e+09,'{"step":5,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000005"}');
INSERT INTO "automl_events" VALUES(1,23,'reported',0,1,1.79544232819006848332e+09,'{"step":6,"metrics":{"loss":0.581012045240813,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,24,'checkpointed',0,1,1.79544232830078959468e+09,'{"step":6,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000006"}');
INSERT INTO "automl_events" VALUES(1,25,'reported',0,1,1.79544232830171537397e+09,'{"step":7,"metrics":{"loss":0.573199545240813,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,26,'checkpointed',1,1,1.79544232830226826664e+09,'{"step":3,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,27,'reported',1,1,1.79544232830262708664e+09,'{"step":4,"metrics":{"loss":0.2333071195500094,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,28,'checkpointed',1,1,1.79544232840868926053e+09,'{"step":4,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000004"}');
INSERT INTO "automl_events" VALUES(1,29,'reported',1,1,1.79544232840962672236e+09,'{"step":5,"metrics":{"loss":0.2020571195500094,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,30,'checkpointed',0,1,1.7954423284110813141e+09,'{"step":7,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000007"}');
INSERT INTO "automl_events" VALUES(1,31,'reported',0,1,1.79544232841439247135e+09,'{"step":8,"metrics":{"loss":0.569293295240813,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_1":0.569293295240813}}');
INSERT INTO "automl_events" VALUES(1,32,'ended',0,1,1.79544232841667079922e+09,'{"outcome":"complete"}');
INSERT INTO "automl_events" VALUES(1,33,'finished',0,NULL,1.79544232841667079922e+09,'{"state":"COMPLETE","values":[0.569293295240813],"step":8}');
INSERT INTO "automl_events" VALUES(1,34,'asked',2,NULL,1.79544232842412257193e+09,'{"params":{"model.steps":8,"model.x":-0.05257759243249893,"model.sleep":0.1},"trainer":"trainer","source":"sampler","sampler":"qmc","trial_attrs":{},"study_attrs":{"qmc:b6ead516cc52482ca3494fe3e544508dd2892fc2115d9a20b89a33fe3a950ea8":1}}');
INSERT INTO "automl_events" VALUES(1,35,'started',2,1,1.79544232844565558428e+09,'{"pid":28349,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0}');
INSERT INTO "automl_events" VALUES(1,36,'checkpointed',1,1,1.79544232851698446276e+09,'{"step":5,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000005"}');
INSERT INTO "automl_events" VALUES(1,37,'reported',1,1,1.79544232851809024815e+09,'{"step":6,"metrics":{"loss":0.1864321195500094,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,38,'checkpointed',2,1,1.79544232855278944969e+09,'{"step":0,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,39,'reported',2,1,1.79544232855364823339e+09,'{"step":1,"metrics":{"loss":0.5027644032259979,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,40,'checkpointed',1,1,1.79544232862205100061e+09,'{"step":6,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000006"}');
INSERT INTO "automl_events" VALUES(1,41,'reported',1,1,1.79544232862297630307e+09,'{"step":7,"metrics":{"loss":0.1786196195500094,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,42,'checkpointed',2,1,1.79544232865567469602e+09,'{"step":1,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,43,'reported',2,1,1.79544232865672159196e+09,'{"step":2,"metrics":{"loss":0.25276440322599797,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.25276440322599797}}');
INSERT INTO "automl_events" VALUES(1,44,'checkpointed',1,1,1.79544232872896122928e+09,'{"step":7,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000007"}');
INSERT INTO "automl_events" VALUES(1,45,'reported',1,1,1.795442328732688427e+09,'{"step":8,"metrics":{"loss":0.1747133695500094,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_1":0.1747133695500094}}');
INSERT INTO "automl_events" VALUES(1,46,'ended',1,1,1.79544232873664975167e+09,'{"outcome":"complete"}');
INSERT INTO "automl_events" VALUES(1,47,'finished',1,NULL,1.79544232873664975167e+09,'{"state":"COMPLETE","values":[0.1747133695500094],"step":8}');
INSERT INTO "automl_events" VALUES(1,48,'asked',3,NULL,1.79544232873868584636e+09,'{"params":{"model.steps":8,"model.x":-1.9085369370877743,"model.sleep":0.1},"trainer":"trainer","source":"sampler","sampler":"qmc","trial_attrs":{},"study_attrs":{"qmc:b6ead516cc52482ca3494fe3e544508dd2892fc2115d9a20b89a33fe3a950ea8":2}}');
INSERT INTO "automl_events" VALUES(1,49,'started',3,1,1.79544232874235725402e+09,'{"pid":28404,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0}');
INSERT INTO "automl_events" VALUES(1,50,'checkpointed',2,1,1.79544232876187515261e+09,'{"step":2,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,51,'reported',2,1,1.79544232876247191431e+09,'{"step":3,"metrics":{"loss":0.12776440322599797,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,52,'checkpointed',3,1,1.79544232884346699713e+09,'{"step":0,"path":"@ROOT@/runs/killed/trials/3/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,53,'reported',3,1,1.79544232884476637843e+09,'{"step":1,"metrics":{"loss":4.142513240228383,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,54,'checkpointed',2,1,1.79544232886511850354e+09,'{"step":3,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,55,'reported',2,1,1.79544232886578679084e+09,'{"step":4,"metrics":{"loss":0.06526440322599797,"first":1.0},"prune":false,"trial_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,56,'checkpointed',3,1,1.79544232895023488996e+09,'{"step":1,"path":"@ROOT@/runs/killed/trials/3/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,57,'reported',3,1,1.79544232895227646824e+09,'{"step":2,"metrics":{"loss":3.892513240228383,"first":1.0},"prune":true,"trial_attrs":{"completed_rung_0":3.892513240228383}}');
INSERT INTO "automl_events" VALUES(1,58,'ended',3,1,1.79544232895227646824e+09,'{"outcome":"pruned"}');
INSERT INTO "automl_events" VALUES(1,59,'finished',3,NULL,1.79544232895227646824e+09,'{"state":"PRUNED","reason":"pruned at step 2"}');
INSERT INTO "automl_events" VALUES(1,60,'asked',4,NULL,1.79544232895496964452e+09,'{"params":{"model.steps":8,"model.x":1.5475631281733513,"model.sleep":0.1},"trainer":"trainer","source":"sampler","sampler":"qmc","trial_attrs":{},"study_attrs":{"qmc:b6ead516cc52482ca3494fe3e544508dd2892fc2115d9a20b89a33fe3a950ea8":3}}');
INSERT INTO "automl_events" VALUES(1,61,'started',4,1,1.79544232895808744425e+09,'{"pid":28404,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0}');
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
INSERT INTO "automl_leases" VALUES(1,1,'8a95a266efc54696b7e856822379c33d','host-a','@MACHINE@',28344,14595.55,0,30.0);
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
INSERT INTO "automl_searches" VALUES(1,'killed',1.79544232644696688649e+09);
CREATE UNIQUE INDEX automl_finished_once ON automl_events (search_id, trial) WHERE kind = 'finished';
CREATE UNIQUE INDEX automl_asked_once ON automl_events (search_id, trial) WHERE kind = 'asked';
COMMIT;
