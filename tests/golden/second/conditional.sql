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
INSERT INTO "automl_events" VALUES(1,1,'opened',NULL,NULL,1.79544403483451247213e+09,'{"spec":{"schema":1,"name":"conditional","seed":4,"objective":{"metric":"loss","direction":"minimize","value":"best"},"trainers":{"plain":{"framework":"function","model":"trainers.tiny_function:quadratic"},"saves":{"framework":"function","model":"trainers.tiny_function:resumes"}},"space":{"model.x":{"float":[0.01,2.0],"log":true},"model.y":{"float":[-1.0,1.0],"when":{"trainer":"plain"}},"model.steps":{"choice":[2,4]}},"start_with":[{"model.x":0.5,"trainer":"saves"}],"budget":{"trials":10,"failures":5},"search":{"sampler":{"name":"tpe","n_startup_trials":4},"pruner":{"name":"hyperband","min_resource":1,"max_resource":4,"reduction_factor":2}},"resources":{"cpus":1,"gpus":0,"parallel":1},"retries":2,"timeout":{"silence":"1h"},"storage":"runs","keep":3,"tracking":false},"text":"name: conditional\nseed: 4\nobjective: {metric: loss, direction: minimize, value: best}\ntrainers:\n  plain: {framework: function, model: \"trainers.tiny_function:quadratic\"}\n  saves: {framework: function, model: \"trainers.tiny_function:resumes\"}\nspace:\n  model.x: {float: [0.01, 2.0], log: true}\n  model.y: {float: [-1.0, 1.0], when: {trainer: plain}}\n  model.steps: {choice: [2, 4]}\nstart_with:\n  - {model.x: 0.5, trainer: saves}\nbudget: {trials: 10}\nsearch: {sampler: {name: tpe, n_startup_trials: 4}, pruner: {name: hyperband, min_resource: 1, max_resource: 4, reduction_factor: 2}}\nresources: {parallel: 1}\ntracking: false\n","versions":{"python":"3.11.7","platform":"Linux","automl":"0.1.0","ray":"2.60.0","optuna":"5.0.0","torch":"2.13.0+cpu","pytorch-lightning":"2.6.6","tensorflow":"2.21.0","keras":"3.15.1","mlflow":"3.17.2"},"git":null,"host":"host-a","pid":6373,"engine":"local","strangers":[]}');
INSERT INTO "automl_events" VALUES(1,2,'asked',0,NULL,1.79544403484974980349e+09,'{"params":{"trainer":"saves","model.x":0.5,"model.steps":4},"trainer":"saves","source":"start_with","sampler":"tpe","trial_attrs":{"fixed_params":{"model.x":0.5,"trainer":1}},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,3,'started',0,1,1.79544403486084294318e+09,'{"pid":6435,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.017}');
INSERT INTO "automl_events" VALUES(1,4,'checkpointed',0,1,1.79544403494864797596e+09,'{"step":0,"path":"@ROOT@/runs/conditional/trials/0/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,5,'reported',0,1,1.79544403495089578627e+09,'{"step":1,"metrics":{"loss":0.75,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.107}');
INSERT INTO "automl_events" VALUES(1,6,'checkpointed',0,1,1.79544403496473717685e+09,'{"step":1,"path":"@ROOT@/runs/conditional/trials/0/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,7,'reported',0,1,1.79544403496614670759e+09,'{"step":2,"metrics":{"loss":0.5,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.5},"alive_s":0.122}');
INSERT INTO "automl_events" VALUES(1,8,'checkpointed',0,1,1.79544403498673367505e+09,'{"step":2,"path":"@ROOT@/runs/conditional/trials/0/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,9,'reported',0,1,1.79544403498833417894e+09,'{"step":3,"metrics":{"loss":0.375,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.144}');
INSERT INTO "automl_events" VALUES(1,10,'checkpointed',0,1,1.79544403501313328745e+09,'{"step":3,"path":"@ROOT@/runs/conditional/trials/0/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,11,'reported',0,1,1.79544403501469540594e+09,'{"step":4,"metrics":{"loss":0.3125,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_1":0.3125},"alive_s":0.171}');
INSERT INTO "automl_events" VALUES(1,12,'ended',0,1,1.7954440350167295933e+09,'{"outcome":"complete","alive_s":0.173}');
INSERT INTO "automl_events" VALUES(1,13,'finished',0,NULL,1.7954440350167295933e+09,'{"state":"COMPLETE","values":[0.3125],"step":4}');
INSERT INTO "automl_events" VALUES(1,14,'asked',1,NULL,1.79544403501985263822e+09,'{"params":{"trainer":"plain","model.x":0.5064160452814435,"model.steps":2,"model.y":0.1983355808332541},"trainer":"plain","source":"share","sampler":"tpe","trial_attrs":{"fixed_params":{"trainer":0}},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,15,'started',1,1,1.79544403502357578271e+09,'{"pid":6435,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.179}');
INSERT INTO "automl_events" VALUES(1,16,'reported',1,1,1.79544403502923250199e+09,'{"step":1,"metrics":{"loss":0.7957942135429612},"prune":false,"trial_attrs":{"completed_rung_0":0.7957942135429612},"alive_s":0.185}');
INSERT INTO "automl_events" VALUES(1,17,'reported',1,1,1.79544403503021264079e+09,'{"step":2,"metrics":{"loss":0.5457942135429612},"prune":false,"trial_attrs":{"completed_rung_1":0.5457942135429612},"alive_s":0.186}');
INSERT INTO "automl_events" VALUES(1,18,'ended',1,1,1.7954440350313408375e+09,'{"outcome":"complete","alive_s":0.187}');
INSERT INTO "automl_events" VALUES(1,19,'finished',1,NULL,1.7954440350313408375e+09,'{"state":"COMPLETE","values":[0.5457942135429612],"step":2}');
INSERT INTO "automl_events" VALUES(1,20,'asked',2,NULL,1.79544403503316879269e+09,'{"params":{"trainer":"plain","model.x":0.010859491019367258,"model.steps":2,"model.y":-0.2882313883407055},"trainer":"plain","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,21,'started',2,1,1.7954440350362522602e+09,'{"pid":6435,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.192}');
INSERT INTO "automl_events" VALUES(1,22,'reported',2,1,1.79544403504040694236e+09,'{"step":1,"metrics":{"loss":0.5831952617700102},"prune":false,"trial_attrs":{"completed_rung_0":0.5831952617700102},"alive_s":0.196}');
INSERT INTO "automl_events" VALUES(1,23,'reported',2,1,1.79544403505305242545e+09,'{"step":2,"metrics":{"loss":0.3331952617700103},"prune":false,"trial_attrs":{"completed_rung_1":0.3331952617700103},"alive_s":0.209}');
INSERT INTO "automl_events" VALUES(1,24,'ended',2,1,1.79544403506089019773e+09,'{"outcome":"complete","alive_s":0.217}');
INSERT INTO "automl_events" VALUES(1,25,'finished',2,NULL,1.79544403506089019773e+09,'{"state":"COMPLETE","values":[0.3331952617700103],"step":2}');
INSERT INTO "automl_events" VALUES(1,26,'asked',3,NULL,1.79544403506350731848e+09,'{"params":{"trainer":"plain","model.x":0.48845742001465714,"model.steps":4,"model.y":-0.9918007558487727},"trainer":"plain","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,27,'started',3,1,1.79544403506842517852e+09,'{"pid":6435,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.224}');
INSERT INTO "automl_events" VALUES(1,28,'reported',3,1,1.7954440350770192146e+09,'{"step":1,"metrics":{"loss":1.722259390469572},"prune":false,"trial_attrs":{},"alive_s":0.233}');
INSERT INTO "automl_events" VALUES(1,29,'reported',3,1,1.79544403508476328856e+09,'{"step":2,"metrics":{"loss":1.472259390469572},"prune":true,"trial_attrs":{"completed_rung_0":1.472259390469572},"alive_s":0.241}');
INSERT INTO "automl_events" VALUES(1,30,'ended',3,1,1.79544403508476328856e+09,'{"outcome":"pruned","alive_s":0.241}');
INSERT INTO "automl_events" VALUES(1,31,'finished',3,NULL,1.79544403508476328856e+09,'{"state":"PRUNED","reason":"pruned at step 2"}');
INSERT INTO "automl_events" VALUES(1,32,'asked',4,NULL,1.7954440350948417187e+09,'{"params":{"trainer":"saves","model.x":1.3905986823476642,"model.steps":4},"trainer":"saves","source":"share","sampler":"tpe","trial_attrs":{"fixed_params":{"trainer":1},"tpe:relative_params:0":"{\"model.steps\": 1, \"model.x\": 1.3905986823476642, \"trainer\": 1, \"model.y\": 0.9847706338458068}"},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,33,'started',4,1,1.79544403510649824146e+09,'{"pid":6435,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.262}');
INSERT INTO "automl_events" VALUES(1,34,'checkpointed',4,1,1.79544403510836100574e+09,'{"step":0,"path":"@ROOT@/runs/conditional/trials/4/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,35,'reported',4,1,1.79544403510927152631e+09,'{"step":1,"metrics":{"loss":2.43376469534706,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.265}');
INSERT INTO "automl_events" VALUES(1,36,'checkpointed',4,1,1.79544403511741161344e+09,'{"step":1,"path":"@ROOT@/runs/conditional/trials/4/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,37,'reported',4,1,1.79544403511822390552e+09,'{"step":2,"metrics":{"loss":2.18376469534706,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.274}');
INSERT INTO "automl_events" VALUES(1,38,'checkpointed',4,1,1.79544403512904834742e+09,'{"step":2,"path":"@ROOT@/runs/conditional/trials/4/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,39,'reported',4,1,1.79544403513154053686e+09,'{"step":3,"metrics":{"loss":2.05876469534706,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.287}');
INSERT INTO "automl_events" VALUES(1,40,'checkpointed',4,1,1.79544403514143323897e+09,'{"step":3,"path":"@ROOT@/runs/conditional/trials/4/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,41,'reported',4,1,1.79544403514327454568e+09,'{"step":4,"metrics":{"loss":1.9962646953470597,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":1.9962646953470597},"alive_s":0.299}');
INSERT INTO "automl_events" VALUES(1,42,'ended',4,1,1.79544403514540767668e+09,'{"outcome":"complete","alive_s":0.301}');
INSERT INTO "automl_events" VALUES(1,43,'finished',4,NULL,1.79544403514540767668e+09,'{"state":"COMPLETE","values":[1.9962646953470597],"step":4}');
INSERT INTO "automl_events" VALUES(1,44,'asked',5,NULL,1.79544403515169072151e+09,'{"params":{"trainer":"saves","model.x":0.037227434578183456,"model.steps":4},"trainer":"saves","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.steps\": 1, \"model.x\": 0.037227434578183456, \"trainer\": 1, \"model.y\": 0.9807677936745994}"},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,45,'started',5,1,1.79544403515596079825e+09,'{"pid":6435,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.312}');
INSERT INTO "automl_events" VALUES(1,46,'checkpointed',5,1,1.79544403516073441508e+09,'{"step":0,"path":"@ROOT@/runs/conditional/trials/5/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,47,'reported',5,1,1.79544403516226744647e+09,'{"step":1,"metrics":{"loss":0.5013858818852729,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.5013858818852729},"alive_s":0.318}');
INSERT INTO "automl_events" VALUES(1,48,'checkpointed',5,1,1.79544403517278385162e+09,'{"step":1,"path":"@ROOT@/runs/conditional/trials/5/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,49,'reported',5,1,1.795444035177601099e+09,'{"step":2,"metrics":{"loss":0.25138588188527294,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_1":0.25138588188527294},"alive_s":0.333}');
INSERT INTO "automl_events" VALUES(1,50,'checkpointed',5,1,1.79544403519160103801e+09,'{"step":2,"path":"@ROOT@/runs/conditional/trials/5/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,51,'reported',5,1,1.79544403519289064402e+09,'{"step":3,"metrics":{"loss":0.12638588188527292,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.349}');
INSERT INTO "automl_events" VALUES(1,52,'checkpointed',5,1,1.79544403520389842985e+09,'{"step":3,"path":"@ROOT@/runs/conditional/trials/5/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,53,'reported',5,1,1.79544403520903801912e+09,'{"step":4,"metrics":{"loss":0.06388588188527293,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_2":0.06388588188527293},"alive_s":0.365}');
INSERT INTO "automl_events" VALUES(1,54,'ended',5,1,1.79544403521214985847e+09,'{"outcome":"complete","alive_s":0.368}');
INSERT INTO "automl_events" VALUES(1,55,'finished',5,NULL,1.79544403521214985847e+09,'{"state":"COMPLETE","values":[0.06388588188527293],"step":4}');
INSERT INTO "automl_events" VALUES(1,56,'asked',6,NULL,1.79544403522625660896e+09,'{"params":{"trainer":"saves","model.x":0.014047873963445071,"model.steps":4},"trainer":"saves","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.steps\": 1, \"model.x\": 0.014047873963445071, \"trainer\": 1, \"model.y\": 0.9677198753073623}"},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,57,'started',6,1,1.79544403523241257662e+09,'{"pid":6435,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.388}');
INSERT INTO "automl_events" VALUES(1,58,'checkpointed',6,1,1.79544403524602270124e+09,'{"step":0,"path":"@ROOT@/runs/conditional/trials/6/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,59,'reported',6,1,1.79544403524770689005e+09,'{"step":1,"metrics":{"loss":0.5001973427628928,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.404}');
INSERT INTO "automl_events" VALUES(1,60,'checkpointed',6,1,1.79544403525400042532e+09,'{"step":1,"path":"@ROOT@/runs/conditional/trials/6/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,61,'reported',6,1,1.7954440352619934082e+09,'{"step":2,"metrics":{"loss":0.25019734276289285,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.418}');
INSERT INTO "automl_events" VALUES(1,62,'checkpointed',6,1,1.79544403528739881514e+09,'{"step":2,"path":"@ROOT@/runs/conditional/trials/6/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,63,'reported',6,1,1.79544403529139685632e+09,'{"step":3,"metrics":{"loss":0.12519734276289285,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.447}');
INSERT INTO "automl_events" VALUES(1,64,'checkpointed',6,1,1.7954440353127117157e+09,'{"step":3,"path":"@ROOT@/runs/conditional/trials/6/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,65,'reported',6,1,1.79544403532757902144e+09,'{"step":4,"metrics":{"loss":0.06269734276289284,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.06269734276289284},"alive_s":0.483}');
INSERT INTO "automl_events" VALUES(1,66,'ended',6,1,1.79544403533692455295e+09,'{"outcome":"complete","alive_s":0.493}');
INSERT INTO "automl_events" VALUES(1,67,'finished',6,NULL,1.79544403533692455295e+09,'{"state":"COMPLETE","values":[0.06269734276289284],"step":4}');
INSERT INTO "automl_events" VALUES(1,68,'asked',7,NULL,1.79544403534562921525e+09,'{"params":{"trainer":"saves","model.x":0.06894254863866811,"model.steps":2},"trainer":"saves","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.steps\": 0, \"model.x\": 0.06894254863866811, \"trainer\": 1, \"model.y\": 0.671696938036134}"},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,69,'started',7,1,1.79544403535077381137e+09,'{"pid":6435,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.507}');
INSERT INTO "automl_events" VALUES(1,70,'checkpointed',7,1,1.79544403536475419996e+09,'{"step":0,"path":"@ROOT@/runs/conditional/trials/7/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,71,'reported',7,1,1.7954440353663070202e+09,'{"step":1,"metrics":{"loss":0.5047530750127951,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.522}');
INSERT INTO "automl_events" VALUES(1,72,'checkpointed',7,1,1.79544403537771153451e+09,'{"step":1,"path":"@ROOT@/runs/conditional/trials/7/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,73,'reported',7,1,1.79544403537940597528e+09,'{"step":2,"metrics":{"loss":0.2547530750127951,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.535}');
INSERT INTO "automl_events" VALUES(1,74,'ended',7,1,1.79544403538115096095e+09,'{"outcome":"complete","alive_s":0.537}');
INSERT INTO "automl_events" VALUES(1,75,'finished',7,NULL,1.79544403538115096095e+09,'{"state":"COMPLETE","values":[0.2547530750127951],"step":2}');
INSERT INTO "automl_events" VALUES(1,76,'asked',8,NULL,1.79544403538772153849e+09,'{"params":{"trainer":"saves","model.x":0.010468410764788964,"model.steps":4},"trainer":"saves","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.steps\": 1, \"model.x\": 0.010468410764788964, \"trainer\": 1, \"model.y\": 0.9849102561161487}"},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,77,'started',8,1,1.79544403541012573244e+09,'{"pid":6435,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.566}');
INSERT INTO "automl_events" VALUES(1,78,'checkpointed',8,1,1.79544403542508816716e+09,'{"step":0,"path":"@ROOT@/runs/conditional/trials/8/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,79,'reported',8,1,1.79544403542639517787e+09,'{"step":1,"metrics":{"loss":0.5001095876239403,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.5001095876239403},"alive_s":0.582}');
INSERT INTO "automl_events" VALUES(1,80,'checkpointed',8,1,1.79544403544681620602e+09,'{"step":1,"path":"@ROOT@/runs/conditional/trials/8/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,81,'reported',8,1,1.79544403544841170306e+09,'{"step":2,"metrics":{"loss":0.25010958762394037,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_1":0.25010958762394037},"alive_s":0.604}');
INSERT INTO "automl_events" VALUES(1,82,'checkpointed',8,1,1.79544403548505806926e+09,'{"step":2,"path":"@ROOT@/runs/conditional/trials/8/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,83,'reported',8,1,1.79544403548649191861e+09,'{"step":3,"metrics":{"loss":0.12510958762394034,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.642}');
INSERT INTO "automl_events" VALUES(1,84,'checkpointed',8,1,1.79544403552102065091e+09,'{"step":3,"path":"@ROOT@/runs/conditional/trials/8/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,85,'reported',8,1,1795444035.52896,'{"step":4,"metrics":{"loss":0.06260958762394035,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_2":0.06260958762394035},"alive_s":0.685}');
INSERT INTO "automl_events" VALUES(1,86,'ended',8,1,1.79544403553429770476e+09,'{"outcome":"complete","alive_s":0.69}');
INSERT INTO "automl_events" VALUES(1,87,'finished',8,NULL,1.79544403553429770476e+09,'{"state":"COMPLETE","values":[0.06260958762394035],"step":4}');
INSERT INTO "automl_events" VALUES(1,88,'asked',9,NULL,1.79544403553924417494e+09,'{"params":{"trainer":"saves","model.x":0.12688204290287486,"model.steps":4},"trainer":"saves","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.steps\": 1, \"model.x\": 0.12688204290287486, \"trainer\": 1, \"model.y\": 0.8229124435899368}"},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,89,'started',9,1,1.79544403554845952986e+09,'{"pid":6435,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.704}');
INSERT INTO "automl_events" VALUES(1,90,'checkpointed',9,1,1.7954440355609033108e+09,'{"step":0,"path":"@ROOT@/runs/conditional/trials/9/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,91,'reported',9,1,1.79544403556495356559e+09,'{"step":1,"metrics":{"loss":0.5160990528112069,"first":1.0},"prune":true,"trial_attrs":{"completed_rung_0":0.5160990528112069},"alive_s":0.721}');
INSERT INTO "automl_events" VALUES(1,92,'ended',9,1,1.79544403556495356559e+09,'{"outcome":"pruned","alive_s":0.721}');
INSERT INTO "automl_events" VALUES(1,93,'finished',9,NULL,1.79544403556495356559e+09,'{"state":"PRUNED","reason":"pruned at step 1"}');
INSERT INTO "automl_events" VALUES(1,94,'published',8,NULL,1.79544403564309954643e+09,'{"step":4,"values":[0.06260958762394035],"error":"trial 8 kept no weights; return a scikit-learn estimator"}');
INSERT INTO "automl_events" VALUES(1,95,'closed',NULL,NULL,1.79544403565024733538e+09,'{"state":"ENDED","reason":"budget.trials","alive_s":0.806}');
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
INSERT INTO "automl_leases" VALUES(1,1,NULL,'host-a','@MACHINE@',6373,16301.61,0,30.0);
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
INSERT INTO "automl_searches" VALUES(1,'conditional',1.79544403447996068004e+09);
CREATE UNIQUE INDEX automl_finished_once ON automl_events (search_id, trial) WHERE kind = 'finished';
CREATE UNIQUE INDEX automl_asked_once ON automl_events (search_id, trial) WHERE kind = 'asked';
COMMIT;
