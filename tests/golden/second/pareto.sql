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
INSERT INTO "automl_events" VALUES(1,1,'opened',NULL,NULL,1.7954440809955954551e+09,'{"spec":{"schema":1,"name":"pareto","seed":3,"objective":[{"metric":"near","direction":"minimize"},{"metric":"far","direction":"minimize"}],"trainer":{"framework":"function","model":"trainers.tiny_function:two_objectives"},"space":{"model.x":{"float":[-2.0,2.0]},"model.y":{"int":[-1,1]}},"budget":{"trials":8,"failures":5},"search":{"sampler":{"name":"nsgaii","population_size":4},"pruner":"auto"},"resources":{"cpus":1,"gpus":0,"parallel":1},"retries":2,"timeout":{"silence":"1h"},"storage":"runs","keep":3,"tracking":false},"text":"name: pareto\nseed: 3\nobjective:\n  - {metric: near, direction: minimize}\n  - {metric: far, direction: minimize}\ntrainer: {framework: function, model: \"trainers.tiny_function:two_objectives\"}\nspace:\n  model.x: {float: [-2.0, 2.0]}\n  model.y: {int: [-1, 1]}\nbudget: {trials: 8}\nsearch: {sampler: {name: nsgaii, population_size: 4}}\nresources: {parallel: 1}\ntracking: false\n","versions":{"python":"3.11.7","platform":"Linux","automl":"0.1.0","ray":"2.60.0","optuna":"5.0.0","torch":"2.13.0+cpu","pytorch-lightning":"2.6.6","tensorflow":"2.21.0","keras":"3.15.1","mlflow":"3.17.2"},"git":null,"host":"host-a","pid":7535,"engine":"local","strangers":[]}');
INSERT INTO "automl_events" VALUES(1,2,'asked',0,NULL,1.79544408100139093404e+09,'{"params":{"model.x":1.7209746574940001,"model.y":-1},"trainer":"trainer","source":"startup","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":0},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,3,'started',0,1,1.79544408100884747506e+09,'{"pid":7584,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.009}');
INSERT INTO "automl_events" VALUES(1,4,'reported',0,1,1.7954440811339712143e+09,'{"step":1,"metrics":{"near":3.961753771736591,"far":1.5198044567485907},"prune":false,"trial_attrs":{},"alive_s":0.134}');
INSERT INTO "automl_events" VALUES(1,5,'ended',0,1,1.79544408113647985456e+09,'{"outcome":"complete","alive_s":0.136}');
INSERT INTO "automl_events" VALUES(1,6,'finished',0,NULL,1.79544408113647985456e+09,'{"state":"COMPLETE","values":[3.961753771736591,1.5198044567485907],"step":1}');
INSERT INTO "automl_events" VALUES(1,7,'asked',1,NULL,1.79544408113876414294e+09,'{"params":{"model.x":-1.6341980051350662,"model.y":0},"trainer":"trainer","source":"startup","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":0},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,8,'started',1,1,1.79544408115232658387e+09,'{"pid":7584,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.152}');
INSERT INTO "automl_events" VALUES(1,9,'reported',1,1,1795444081.15958,'{"step":1,"metrics":{"near":2.6706031199874296,"far":6.938999130257562},"prune":false,"trial_attrs":{},"alive_s":0.159}');
INSERT INTO "automl_events" VALUES(1,10,'ended',1,1,1.79544408116145300861e+09,'{"outcome":"complete","alive_s":0.161}');
INSERT INTO "automl_events" VALUES(1,11,'finished',1,NULL,1.79544408116145300861e+09,'{"state":"COMPLETE","values":[2.6706031199874296,6.938999130257562],"step":1}');
INSERT INTO "automl_events" VALUES(1,12,'asked',2,NULL,1.79544408116330766675e+09,'{"params":{"model.x":-1.0361644407573047,"model.y":1},"trainer":"trainer","source":"startup","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":0},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,13,'started',2,1,1.79544408116677856445e+09,'{"pid":7584,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.167}');
INSERT INTO "automl_events" VALUES(1,14,'reported',2,1,1.79544408117369866375e+09,'{"step":1,"metrics":{"near":2.073636748289898,"far":5.145965629804508},"prune":false,"trial_attrs":{},"alive_s":0.174}');
INSERT INTO "automl_events" VALUES(1,15,'ended',2,1,1.7954440811755495071e+09,'{"outcome":"complete","alive_s":0.175}');
INSERT INTO "automl_events" VALUES(1,16,'finished',2,NULL,1.7954440811755495071e+09,'{"state":"COMPLETE","values":[2.073636748289898,5.145965629804508],"step":1}');
INSERT INTO "automl_events" VALUES(1,17,'asked',3,NULL,1.79544408117734479897e+09,'{"params":{"model.x":1.550906166316163,"model.y":-1},"trainer":"trainer","source":"startup","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":0},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,18,'started',3,1,1.79544408119508028028e+09,'{"pid":7584,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.195}');
INSERT INTO "automl_events" VALUES(1,19,'reported',3,1,1.79544408120098423955e+09,'{"step":1,"metrics":{"near":3.4053099367174977,"far":1.3034976040851718},"prune":false,"trial_attrs":{},"alive_s":0.201}');
INSERT INTO "automl_events" VALUES(1,20,'ended',3,1,1.79544408120261907583e+09,'{"outcome":"complete","alive_s":0.203}');
INSERT INTO "automl_events" VALUES(1,21,'finished',3,NULL,1.79544408120261907583e+09,'{"state":"COMPLETE","values":[3.4053099367174977,1.3034976040851718],"step":1}');
INSERT INTO "automl_events" VALUES(1,22,'asked',4,NULL,1.79544408120477843281e+09,'{"params":{"model.x":1.550906166316163,"model.y":0},"trainer":"trainer","source":"sampler","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":1},"study_attrs":{"NSGAIISampler:parent:1":[2,3,1,0]}}');
INSERT INTO "automl_events" VALUES(1,23,'started',4,1,1.79544408121132254606e+09,'{"pid":7584,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.211}');
INSERT INTO "automl_events" VALUES(1,24,'reported',4,1,1.7954440812210855484e+09,'{"step":1,"metrics":{"near":2.4053099367174977,"far":0.3034976040851718},"prune":false,"trial_attrs":{},"alive_s":0.221}');
INSERT INTO "automl_events" VALUES(1,25,'ended',4,1,1.79544408122267031674e+09,'{"outcome":"complete","alive_s":0.223}');
INSERT INTO "automl_events" VALUES(1,26,'finished',4,NULL,1.79544408122267031674e+09,'{"state":"COMPLETE","values":[2.4053099367174977,0.3034976040851718],"step":1}');
INSERT INTO "automl_events" VALUES(1,27,'asked',5,NULL,1.79544408122444248193e+09,'{"params":{"model.x":-1.6341980051350662,"model.y":1},"trainer":"trainer","source":"sampler","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":1},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,28,'started',5,1,1.79544408122786736483e+09,'{"pid":7584,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.228}');
INSERT INTO "automl_events" VALUES(1,29,'reported',5,1,1.79544408123707795142e+09,'{"step":1,"metrics":{"near":3.6706031199874296,"far":7.938999130257562},"prune":false,"trial_attrs":{},"alive_s":0.237}');
INSERT INTO "automl_events" VALUES(1,30,'ended',5,1,1.79544408123873591425e+09,'{"outcome":"complete","alive_s":0.239}');
INSERT INTO "automl_events" VALUES(1,31,'finished',5,NULL,1.79544408123873591425e+09,'{"state":"COMPLETE","values":[3.6706031199874296,7.938999130257562],"step":1}');
INSERT INTO "automl_events" VALUES(1,32,'asked',6,NULL,1.79544408124065852164e+09,'{"params":{"model.x":1.550906166316163,"model.y":-1},"trainer":"trainer","source":"sampler","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":1},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,33,'started',6,1,1.79544408124411177633e+09,'{"pid":7584,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.244}');
INSERT INTO "automl_events" VALUES(1,34,'reported',6,1,1.79544408125327897068e+09,'{"step":1,"metrics":{"near":3.4053099367174977,"far":1.3034976040851718},"prune":false,"trial_attrs":{},"alive_s":0.253}');
INSERT INTO "automl_events" VALUES(1,35,'ended',6,1,1.79544408125571799276e+09,'{"outcome":"complete","alive_s":0.256}');
INSERT INTO "automl_events" VALUES(1,36,'finished',6,NULL,1.79544408125571799276e+09,'{"state":"COMPLETE","values":[3.4053099367174977,1.3034976040851718],"step":1}');
INSERT INTO "automl_events" VALUES(1,37,'asked',7,NULL,1.79544408125885343553e+09,'{"params":{"model.x":0.444311211045485,"model.y":-1},"trainer":"trainer","source":"sampler","sampler":"nsgaii","trial_attrs":{"NSGAIISampler:generation":1},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,38,'started',7,1,1.79544408127429032332e+09,'{"pid":7584,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.274}');
INSERT INTO "automl_events" VALUES(1,39,'reported',7,1,1.79544408127574586873e+09,'{"step":1,"metrics":{"near":1.1974124522607055,"far":1.3087900301697355},"prune":false,"trial_attrs":{},"alive_s":0.276}');
INSERT INTO "automl_events" VALUES(1,40,'ended',7,1,1.79544408127868127824e+09,'{"outcome":"complete","alive_s":0.279}');
INSERT INTO "automl_events" VALUES(1,41,'finished',7,NULL,1.79544408127868127824e+09,'{"state":"COMPLETE","values":[1.1974124522607055,1.3087900301697355],"step":1}');
INSERT INTO "automl_events" VALUES(1,42,'published',4,NULL,1.79544408134655022624e+09,'{"step":1,"values":[2.4053099367174977,0.3034976040851718],"error":"trial 4 kept no weights; return a scikit-learn estimator"}');
INSERT INTO "automl_events" VALUES(1,43,'closed',NULL,NULL,1.79544408134756946562e+09,'{"state":"ENDED","reason":"budget.trials","alive_s":0.347}');
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
INSERT INTO "automl_leases" VALUES(1,1,NULL,'host-a','@MACHINE@',7535,16345.69,0,30.0);
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
INSERT INTO "automl_searches" VALUES(1,'pareto',1.79544408025469112398e+09);
CREATE UNIQUE INDEX automl_asked_once ON automl_events (search_id, trial) WHERE kind = 'asked';
CREATE UNIQUE INDEX automl_finished_once ON automl_events (search_id, trial) WHERE kind = 'finished';
COMMIT;
