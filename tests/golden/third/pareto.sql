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
INSERT INTO "automl_events" VALUES(1,1,'opened',NULL,NULL,1.7957756616883122921e+09,'{"spec":{"schema":1,"name":"pareto","seed":3,"objective":[{"metric":"near","direction":"minimize"},{"metric":"far","direction":"minimize"}],"trainer":{"framework":"function","model":"trainers.tiny_function:two_objectives"},"space":{"model.x":{"float":[-2.0,2.0]},"model.y":{"int":[-1,1]}},"budget":{"trials":8,"failures":5},"search":{"sampler":{"name":"nsgaii","population_size":4},"pruner":"auto"},"resources":{"cpus":1,"gpus":0,"parallel":1},"retries":2,"timeout":{"silence":"1h"},"storage":"runs","keep":3,"tracking":false},"text":"name: pareto\nseed: 3\nobjective:\n  - {metric: near, direction: minimize}\n  - {metric: far, direction: minimize}\ntrainer: {framework: function, model: \"trainers.tiny_function:two_objectives\"}\nspace:\n  model.x: {float: [-2.0, 2.0]}\n  model.y: {int: [-1, 1]}\nbudget: {trials: 8}\nsearch: {sampler: {name: nsgaii, population_size: 4}}\nresources: {parallel: 1}\ntracking: false\n","versions":{"python":"3.11.7","platform":"Linux","automl":"0.1.0","ray":"2.60.0","optuna":"5.0.0","torch":"2.13.0+cpu","pytorch-lightning":"2.6.6","tensorflow":"2.21.0","keras":"3.15.1","mlflow":"3.17.2"},"git":null,"host":"host-a","pid":18891,"engine":"local","owner":"ann@host-a","strangers":[]}');
INSERT INTO "automl_events" VALUES(1,2,'asked',0,NULL,1.79577566169651818279e+09,'{"params":{"model.x":1.7209746574940001,"model.y":-1},"trainer":"trainer","source":"startup","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":0},"study_attrs":{},"seen":1}');
INSERT INTO "automl_events" VALUES(1,3,'started',0,1,1.79577566175902056692e+09,'{"pid":18925,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.065}');
INSERT INTO "automl_events" VALUES(1,4,'reported',0,1,1.7957756619706618786e+09,'{"step":1,"metrics":{"near":3.961753771736591,"far":1.5198044567485907},"prune":false,"trial_attrs":{},"alive_s":0.277}');
INSERT INTO "automl_events" VALUES(1,5,'ended',0,1,1.79577566197615695001e+09,'{"outcome":"complete","alive_s":0.282}');
INSERT INTO "automl_events" VALUES(1,6,'finished',0,NULL,1.79577566197615695001e+09,'{"state":"COMPLETE","values":[3.961753771736591,1.5198044567485907],"step":1}');
INSERT INTO "automl_events" VALUES(1,7,'asked',1,NULL,1.79577566197834205628e+09,'{"params":{"model.x":-1.6341980051350662,"model.y":0},"trainer":"trainer","source":"startup","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":0},"study_attrs":{},"seen":2}');
INSERT INTO "automl_events" VALUES(1,8,'started',1,1,1.79577566198161339759e+09,'{"pid":18925,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.288}');
INSERT INTO "automl_events" VALUES(1,9,'reported',1,1,1.79577566198317599291e+09,'{"step":1,"metrics":{"near":2.6706031199874296,"far":6.938999130257562},"prune":false,"trial_attrs":{},"alive_s":0.289}');
INSERT INTO "automl_events" VALUES(1,10,'ended',1,1,1.79577566198490476607e+09,'{"outcome":"complete","alive_s":0.291}');
INSERT INTO "automl_events" VALUES(1,11,'finished',1,NULL,1.79577566198490476607e+09,'{"state":"COMPLETE","values":[2.6706031199874296,6.938999130257562],"step":1}');
INSERT INTO "automl_events" VALUES(1,12,'asked',2,NULL,1.79577566198853945736e+09,'{"params":{"model.x":-1.0361644407573047,"model.y":1},"trainer":"trainer","source":"startup","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":0},"study_attrs":{},"seen":7}');
INSERT INTO "automl_events" VALUES(1,13,'started',2,1,1.79577566199644184105e+09,'{"pid":18925,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.303}');
INSERT INTO "automl_events" VALUES(1,14,'reported',2,1,1.79577566199818038942e+09,'{"step":1,"metrics":{"near":2.073636748289898,"far":5.145965629804508},"prune":false,"trial_attrs":{},"alive_s":0.304}');
INSERT INTO "automl_events" VALUES(1,15,'ended',2,1,1.79577566200526618955e+09,'{"outcome":"complete","alive_s":0.312}');
INSERT INTO "automl_events" VALUES(1,16,'finished',2,NULL,1.79577566200526618955e+09,'{"state":"COMPLETE","values":[2.073636748289898,5.145965629804508],"step":1}');
INSERT INTO "automl_events" VALUES(1,17,'asked',3,NULL,1.79577566200702500344e+09,'{"params":{"model.x":1.550906166316163,"model.y":-1},"trainer":"trainer","source":"startup","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":0},"study_attrs":{},"seen":12}');
INSERT INTO "automl_events" VALUES(1,18,'started',3,1,1.79577566201015019421e+09,'{"pid":18925,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.316}');
INSERT INTO "automl_events" VALUES(1,19,'reported',3,1,1.79577566201131176952e+09,'{"step":1,"metrics":{"near":3.4053099367174977,"far":1.3034976040851718},"prune":false,"trial_attrs":{},"alive_s":0.318}');
INSERT INTO "automl_events" VALUES(1,20,'ended',3,1,1.79577566201693487163e+09,'{"outcome":"complete","alive_s":0.323}');
INSERT INTO "automl_events" VALUES(1,21,'finished',3,NULL,1.79577566201693487163e+09,'{"state":"COMPLETE","values":[3.4053099367174977,1.3034976040851718],"step":1}');
INSERT INTO "automl_events" VALUES(1,22,'asked',4,NULL,1.79577566202208423621e+09,'{"params":{"model.x":1.550906166316163,"model.y":0},"trainer":"trainer","source":"sampler","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":1},"study_attrs":{"NSGAIISampler:parent:1":[2,3,1,0]},"seen":21}');
INSERT INTO "automl_events" VALUES(1,23,'started',4,1,1.7957756620251824856e+09,'{"pid":18925,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.331}');
INSERT INTO "automl_events" VALUES(1,24,'reported',4,1,1.7957756620261359215e+09,'{"step":1,"metrics":{"near":2.4053099367174977,"far":0.3034976040851718},"prune":false,"trial_attrs":{},"alive_s":0.332}');
INSERT INTO "automl_events" VALUES(1,25,'ended',4,1,1.79577566202776122087e+09,'{"outcome":"complete","alive_s":0.334}');
INSERT INTO "automl_events" VALUES(1,26,'finished',4,NULL,1.79577566202776122087e+09,'{"state":"COMPLETE","values":[2.4053099367174977,0.3034976040851718],"step":1}');
INSERT INTO "automl_events" VALUES(1,27,'asked',5,NULL,1795775662.03387,'{"params":{"model.x":-1.6341980051350662,"model.y":1},"trainer":"trainer","source":"sampler","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":1},"study_attrs":{},"seen":26}');
INSERT INTO "automl_events" VALUES(1,28,'started',5,1,1.79577566205494451524e+09,'{"pid":18925,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.361}');
INSERT INTO "automl_events" VALUES(1,29,'reported',5,1,1.79577566205657458307e+09,'{"step":1,"metrics":{"near":3.6706031199874296,"far":7.938999130257562},"prune":false,"trial_attrs":{},"alive_s":0.363}');
INSERT INTO "automl_events" VALUES(1,30,'ended',5,1,1.79577566206392621995e+09,'{"outcome":"complete","alive_s":0.37}');
INSERT INTO "automl_events" VALUES(1,31,'finished',5,NULL,1.79577566206392621995e+09,'{"state":"COMPLETE","values":[3.6706031199874296,7.938999130257562],"step":1}');
INSERT INTO "automl_events" VALUES(1,32,'asked',6,NULL,1.79577566207167720795e+09,'{"params":{"model.x":1.550906166316163,"model.y":-1},"trainer":"trainer","source":"sampler","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":1},"study_attrs":{},"seen":31}');
INSERT INTO "automl_events" VALUES(1,33,'started',6,1,1.79577566207678794856e+09,'{"pid":18925,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.383}');
INSERT INTO "automl_events" VALUES(1,34,'reported',6,1,1.79577566207822823525e+09,'{"step":1,"metrics":{"near":3.4053099367174977,"far":1.3034976040851718},"prune":false,"trial_attrs":{},"alive_s":0.385}');
INSERT INTO "automl_events" VALUES(1,35,'ended',6,1,1.79577566208402919769e+09,'{"outcome":"complete","alive_s":0.39}');
INSERT INTO "automl_events" VALUES(1,36,'finished',6,NULL,1.79577566208402919769e+09,'{"state":"COMPLETE","values":[3.4053099367174977,1.3034976040851718],"step":1}');
INSERT INTO "automl_events" VALUES(1,37,'asked',7,NULL,1.79577566209477329254e+09,'{"params":{"model.x":0.444311211045485,"model.y":-1},"trainer":"trainer","source":"sampler","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":1},"study_attrs":{},"seen":36}');
INSERT INTO "automl_events" VALUES(1,38,'started',7,1,1.79577566209851860997e+09,'{"pid":18925,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.405}');
INSERT INTO "automl_events" VALUES(1,39,'reported',7,1,1.79577566210280251506e+09,'{"step":1,"metrics":{"near":1.1974124522607055,"far":1.3087900301697355},"prune":false,"trial_attrs":{},"alive_s":0.409}');
INSERT INTO "automl_events" VALUES(1,40,'ended',7,1,1.7957756621070353985e+09,'{"outcome":"complete","alive_s":0.413}');
INSERT INTO "automl_events" VALUES(1,41,'finished',7,NULL,1.7957756621070353985e+09,'{"state":"COMPLETE","values":[1.1974124522607055,1.3087900301697355],"step":1}');
INSERT INTO "automl_events" VALUES(1,42,'published',4,NULL,1.79577566235399150845e+09,'{"step":1,"values":[2.4053099367174977,0.3034976040851718],"error":"trial 4 kept no weights; return a scikit-learn estimator"}');
INSERT INTO "automl_events" VALUES(1,43,'closed',NULL,NULL,1.79577566235532879836e+09,'{"state":"ENDED","reason":"budget.trials","alive_s":0.662}');
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
INSERT INTO "automl_leases" VALUES(1,1,NULL,'host-a','@MACHINE@',18891,33720.97,0,30.0,1.79577566156599235536e+09);
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
INSERT INTO "automl_searches" VALUES(1,'pareto',1.79577566154091238979e+09);
CREATE UNIQUE INDEX automl_asked_once ON automl_events (search_id, trial) WHERE kind = 'asked';
CREATE UNIQUE INDEX automl_finished_once ON automl_events (search_id, trial) WHERE kind = 'finished';
CREATE INDEX automl_requests_search ON automl_requests (search_id);
COMMIT;
