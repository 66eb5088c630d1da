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
INSERT INTO "automl_events" VALUES(1,1,'opened',NULL,NULL,1.79577563254678177831e+09,'{"spec":{"schema":1,"name":"killed","seed":2,"objective":{"metric":"loss","direction":"minimize"},"trainer":{"framework":"function","model":"trainers.tiny_function:resumes"},"space":{"model.x":{"float":[-2.0,2.0]},"model.sleep":{"choice":[0.1]},"model.steps":8},"budget":{"trials":5,"failures":5},"search":{"sampler":"qmc","pruner":{"name":"successive_halving","min_resource":2}},"resources":{"cpus":1,"gpus":0,"parallel":2},"retries":2,"timeout":{"silence":"1h"},"storage":"runs","keep":3,"tracking":false},"text":"name: killed\nseed: 2\nobjective: {metric: loss, direction: minimize}\ntrainer: {framework: function, model: \"trainers.tiny_function:resumes\"}\nspace:\n  model.x: {float: [-2.0, 2.0]}\n  model.steps: 8\n  model.sleep: {choice: [0.1]}\nbudget: {trials: 5}\nsearch: {sampler: qmc, pruner: {name: successive_halving, min_resource: 2}}\nresources: {parallel: 2}\ntracking: false\n","versions":{"python":"3.11.7","platform":"Linux","automl":"0.1.0","ray":"2.60.0","optuna":"5.0.0","torch":"2.13.0+cpu","pytorch-lightning":"2.6.6","tensorflow":"2.21.0","keras":"3.15.1","mlflow":"3.17.2"},"git":null,"host":"host-a","pid":18132,"engine":"local","owner":"ann@host-a","strangers":[]}');
INSERT INTO "automl_events" VALUES(1,2,'asked',0,NULL,1.79577563256838393206e+09,'{"params":{"model.steps":8,"model.x":0.7519222335061073,"model.sleep":0.1},"trainer":"trainer","source":"startup","sampler":"qmc","trial_attrs":{},"study_attrs":{},"seen":1}');
INSERT INTO "automl_events" VALUES(1,3,'started',0,1,1.79577563260984754563e+09,'{"pid":18304,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.044}');
INSERT INTO "automl_events" VALUES(1,4,'checkpointed',0,1,1.79577563307225036622e+09,'{"step":0,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,5,'reported',0,1,1.79577563313094735143e+09,'{"step":1,"metrics":{"loss":1.065387045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.565}');
INSERT INTO "automl_events" VALUES(1,6,'checkpointed',0,1,1.79577563326860952376e+09,'{"step":1,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,7,'reported',0,1,1.79577563327077293396e+09,'{"step":2,"metrics":{"loss":0.815387045240813,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.815387045240813},"alive_s":0.705}');
INSERT INTO "automl_events" VALUES(1,8,'checkpointed',0,1,1.7957756334539518357e+09,'{"step":2,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,9,'reported',0,1,1.79577563346733403209e+09,'{"step":3,"metrics":{"loss":0.690387045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.901}');
INSERT INTO "automl_events" VALUES(1,10,'checkpointed',0,1,1.79577563361790132519e+09,'{"step":3,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,11,'reported',0,1,1.79577563362281131739e+09,'{"step":4,"metrics":{"loss":0.627887045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":1.057}');
INSERT INTO "automl_events" VALUES(1,12,'checkpointed',0,1,1795775633.81303,'{"step":4,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000004"}');
INSERT INTO "automl_events" VALUES(1,13,'reported',0,1,1795775633.85302,'{"step":5,"metrics":{"loss":0.596637045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":1.287}');
INSERT INTO "automl_events" VALUES(1,14,'checkpointed',0,1,1.79577563399718594548e+09,'{"step":5,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000005"}');
INSERT INTO "automl_events" VALUES(1,15,'reported',0,1,1.79577563399918770786e+09,'{"step":6,"metrics":{"loss":0.581012045240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":1.433}');
INSERT INTO "automl_events" VALUES(1,16,'checkpointed',0,1,1.79577563452059078214e+09,'{"step":6,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000006"}');
INSERT INTO "automl_events" VALUES(1,17,'reported',0,1,1.79577563454829359059e+09,'{"step":7,"metrics":{"loss":0.573199545240813,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":1.982}');
INSERT INTO "automl_events" VALUES(1,18,'checkpointed',0,1,1.79577563469888067245e+09,'{"step":7,"path":"@ROOT@/runs/killed/trials/0/checkpoint-00000007"}');
INSERT INTO "automl_events" VALUES(1,19,'reported',0,1,1.79577563470811176296e+09,'{"step":8,"metrics":{"loss":0.569293295240813,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_1":0.569293295240813},"alive_s":2.142}');
INSERT INTO "automl_events" VALUES(1,20,'ended',0,1,1.79577563472270417214e+09,'{"outcome":"complete","alive_s":2.157}');
INSERT INTO "automl_events" VALUES(1,21,'finished',0,NULL,1.79577563472270417214e+09,'{"state":"COMPLETE","values":[0.569293295240813],"step":8}');
INSERT INTO "automl_events" VALUES(1,22,'asked',1,NULL,1.79577563781073021881e+09,'{"params":{"model.steps":8,"model.x":0.4132881797850132,"model.sleep":0.1},"trainer":"trainer","source":"sampler","sampler":"qmc","trial_attrs":{},"study_attrs":{"qmc:b6ead516cc52482ca3494fe3e544508dd2892fc2115d9a20b89a33fe3a950ea8":0},"seen":2}');
INSERT INTO "automl_events" VALUES(1,23,'started',1,1,1.79577563783228921889e+09,'{"pid":18304,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":5.266}');
INSERT INTO "automl_events" VALUES(1,24,'asked',2,NULL,1.79577563784750986099e+09,'{"params":{"model.steps":8,"model.x":-0.05257759243249893,"model.sleep":0.1},"trainer":"trainer","source":"sampler","sampler":"qmc","trial_attrs":{},"study_attrs":{"qmc:b6ead516cc52482ca3494fe3e544508dd2892fc2115d9a20b89a33fe3a950ea8":1},"seen":22}');
INSERT INTO "automl_events" VALUES(1,25,'started',2,1,1.79577563786890625954e+09,'{"pid":18305,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":5.303}');
INSERT INTO "automl_events" VALUES(1,26,'checkpointed',1,1,1.79577563797188568118e+09,'{"step":0,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,27,'reported',1,1,1.7957756379935894013e+09,'{"step":1,"metrics":{"loss":0.6708071195500094,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":5.428}');
INSERT INTO "automl_events" VALUES(1,28,'checkpointed',1,1,1.79577563810589671132e+09,'{"step":1,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,29,'reported',1,1,1.79577563811545515065e+09,'{"step":2,"metrics":{"loss":0.4208071195500094,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.4208071195500094},"alive_s":5.549}');
INSERT INTO "automl_events" VALUES(1,30,'checkpointed',2,1,1.79577563824543261529e+09,'{"step":0,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,31,'reported',2,1,1.79577563825381231309e+09,'{"step":1,"metrics":{"loss":0.5027644032259979,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":5.688}');
INSERT INTO "automl_events" VALUES(1,32,'checkpointed',1,1,1.79577563825674700733e+09,'{"step":2,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,33,'reported',1,1,1.79577563825996518133e+09,'{"step":3,"metrics":{"loss":0.2958071195500094,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":5.694}');
INSERT INTO "automl_events" VALUES(1,34,'checkpointed',1,1,1.7957756383728435039e+09,'{"step":3,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,35,'reported',1,1,1.79577563837441372875e+09,'{"step":4,"metrics":{"loss":0.2333071195500094,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":5.808}');
INSERT INTO "automl_events" VALUES(1,36,'checkpointed',2,1,1795775638.38012,'{"step":1,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,37,'reported',2,1,1.79577563838295531277e+09,'{"step":2,"metrics":{"loss":0.25276440322599797,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.25276440322599797},"alive_s":5.817}');
INSERT INTO "automl_events" VALUES(1,38,'checkpointed',1,1,1.79577563848734283449e+09,'{"step":4,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000004"}');
INSERT INTO "automl_events" VALUES(1,39,'reported',1,1,1.79577563849372673029e+09,'{"step":5,"metrics":{"loss":0.2020571195500094,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":5.928}');
INSERT INTO "automl_events" VALUES(1,40,'checkpointed',2,1,1.79577563854284548766e+09,'{"step":2,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,41,'reported',2,1,1.7957756385552885532e+09,'{"step":3,"metrics":{"loss":0.12776440322599797,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":5.989}');
INSERT INTO "automl_events" VALUES(1,42,'checkpointed',1,1,1.7957756386216011047e+09,'{"step":5,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000005"}');
INSERT INTO "automl_events" VALUES(1,43,'reported',1,1,1.7957756386232864857e+09,'{"step":6,"metrics":{"loss":0.1864321195500094,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":6.057}');
INSERT INTO "automl_events" VALUES(1,44,'checkpointed',2,1,1.79577563868563175198e+09,'{"step":3,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,45,'reported',2,1,1.79577563868796586995e+09,'{"step":4,"metrics":{"loss":0.06526440322599797,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":6.122}');
INSERT INTO "automl_events" VALUES(1,46,'checkpointed',1,1,1.79577563873517560963e+09,'{"step":6,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000006"}');
INSERT INTO "automl_events" VALUES(1,47,'reported',1,1,1.79577563873940157894e+09,'{"step":7,"metrics":{"loss":0.1786196195500094,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":6.173}');
INSERT INTO "automl_events" VALUES(1,48,'checkpointed',2,1,1.79577563881140041352e+09,'{"step":4,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000004"}');
INSERT INTO "automl_events" VALUES(1,49,'reported',2,1,1.79577563881570506101e+09,'{"step":5,"metrics":{"loss":0.03401440322599797,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":6.25}');
INSERT INTO "automl_events" VALUES(1,50,'checkpointed',1,1,1.79577563885185265534e+09,'{"step":7,"path":"@ROOT@/runs/killed/trials/1/checkpoint-00000007"}');
INSERT INTO "automl_events" VALUES(1,51,'reported',1,1,1.7957756388563506603e+09,'{"step":8,"metrics":{"loss":0.1747133695500094,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_1":0.1747133695500094},"alive_s":6.29}');
INSERT INTO "automl_events" VALUES(1,52,'ended',1,1,1.79577563885933732981e+09,'{"outcome":"complete","alive_s":6.293}');
INSERT INTO "automl_events" VALUES(1,53,'finished',1,NULL,1.79577563885933732981e+09,'{"state":"COMPLETE","values":[0.1747133695500094],"step":8}');
INSERT INTO "automl_events" VALUES(1,54,'asked',3,NULL,1.79577563886226129535e+09,'{"params":{"model.steps":8,"model.x":-1.9085369370877743,"model.sleep":0.1},"trainer":"trainer","source":"sampler","sampler":"qmc","trial_attrs":{},"study_attrs":{"qmc:b6ead516cc52482ca3494fe3e544508dd2892fc2115d9a20b89a33fe3a950ea8":2},"seen":24}');
INSERT INTO "automl_events" VALUES(1,55,'started',3,1,1.7957756388708226681e+09,'{"pid":18304,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":6.305}');
INSERT INTO "automl_events" VALUES(1,56,'checkpointed',2,1,1.79577563893437361719e+09,'{"step":5,"path":"@ROOT@/runs/killed/trials/2/checkpoint-00000005"}');
INSERT INTO "automl_events" VALUES(1,57,'reported',2,1,1.79577563893840599059e+09,'{"step":6,"metrics":{"loss":0.01838940322599797,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":6.372}');
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
INSERT INTO "automl_leases" VALUES(1,1,'b8505e869ca5461a863396a7ef26291b','host-a','@MACHINE@',18132,33692.58,0,30.0,1.79577563235299444196e+09);
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
INSERT INTO "automl_searches" VALUES(1,'killed',1.79577563231258606913e+09);
CREATE UNIQUE INDEX automl_asked_once ON automl_events (search_id, trial) WHERE kind = 'asked';
CREATE UNIQUE INDEX automl_finished_once ON automl_events (search_id, trial) WHERE kind = 'finished';
CREATE INDEX automl_requests_search ON automl_requests (search_id);
COMMIT;
