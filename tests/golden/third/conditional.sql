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
INSERT INTO "automl_events" VALUES(1,1,'opened',NULL,NULL,1.7957756204189641476e+09,'{"spec":{"schema":1,"name":"conditional","seed":4,"objective":{"metric":"loss","direction":"minimize","value":"best"},"trainers":{"plain":{"framework":"function","model":"trainers.tiny_function:quadratic"},"saves":{"framework":"function","model":"trainers.tiny_function:resumes"}},"space":{"model.x":{"float":[0.01,2.0],"log":true},"model.y":{"float":[-1.0,1.0],"when":{"trainer":"plain"}},"model.steps":{"choice":[2,4]}},"start_with":[{"model.x":0.5,"trainer":"saves"}],"budget":{"trials":10,"failures":5},"search":{"sampler":{"name":"tpe","n_startup_trials":4},"pruner":{"name":"hyperband","min_resource":1,"max_resource":4,"reduction_factor":2}},"resources":{"cpus":1,"gpus":0,"parallel":1},"retries":2,"timeout":{"silence":"1h"},"storage":"runs","keep":3,"tracking":false},"text":"name: conditional\nseed: 4\nobjective: {metric: loss, direction: minimize, value: best}\ntrainers:\n  plain: {framework: function, model: \"trainers.tiny_function:quadratic\"}\n  saves: {framework: function, model: \"trainers.tiny_function:resumes\"}\nspace:\n  model.x: {float: [0.01, 2.0], log: true}\n  model.y: {float: [-1.0, 1.0], when: {trainer: plain}}\n  model.steps: {choice: [2, 4]}\nstart_with:\n  - {model.x: 0.5, trainer: saves}\nbudget: {trials: 10}\nsearch: {sampler: {name: tpe, n_startup_trials: 4}, pruner: {name: hyperband, min_resource: 1, max_resource: 4, reduction_factor: 2}}\nresources: {parallel: 1}\ntracking: false\n","versions":{"python":"3.11.7","platform":"Linux","automl":"0.1.0","ray":"2.60.0","optuna":"5.0.0","torch":"2.13.0+cpu","pytorch-lightning":"2.6.6","tensorflow":"2.21.0","keras":"3.15.1","mlflow":"3.17.2"},"git":null,"host":"host-a","pid":17628,"engine":"local","owner":"ann@host-a","strangers":[]}');
INSERT INTO "automl_events" VALUES(1,2,'asked',0,NULL,1.79577562043133926394e+09,'{"params":{"trainer":"saves","model.x":0.5,"model.steps":4},"trainer":"saves","source":"start_with","sampler":"tpe","trial_attrs":{"fixed_params":{"model.x":0.5,"trainer":1}},"study_attrs":{},"seen":1}');
INSERT INTO "automl_events" VALUES(1,3,'started',0,1,1.79577562046885061269e+09,'{"pid":17792,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.047}');
INSERT INTO "automl_events" VALUES(1,4,'checkpointed',0,1,1795775620.80227,'{"step":0,"path":"@ROOT@/runs/conditional/trials/0/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,5,'reported',0,1,1.79577562081685066222e+09,'{"step":1,"metrics":{"loss":0.75,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.395}');
INSERT INTO "automl_events" VALUES(1,6,'checkpointed',0,1,1.79577562084896087644e+09,'{"step":1,"path":"@ROOT@/runs/conditional/trials/0/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,7,'reported',0,1,1.79577562085255193705e+09,'{"step":2,"metrics":{"loss":0.5,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.5},"alive_s":0.431}');
INSERT INTO "automl_events" VALUES(1,8,'checkpointed',0,1,1.79577562086676144597e+09,'{"step":2,"path":"@ROOT@/runs/conditional/trials/0/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,9,'reported',0,1,1.79577562087046480173e+09,'{"step":3,"metrics":{"loss":0.375,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.449}');
INSERT INTO "automl_events" VALUES(1,10,'checkpointed',0,1,1.79577562088769745823e+09,'{"step":3,"path":"@ROOT@/runs/conditional/trials/0/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,11,'reported',0,1,1.79577562088973093036e+09,'{"step":4,"metrics":{"loss":0.3125,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_1":0.3125},"alive_s":0.468}');
INSERT INTO "automl_events" VALUES(1,12,'ended',0,1,1.79577562089191937444e+09,'{"outcome":"complete","alive_s":0.47}');
INSERT INTO "automl_events" VALUES(1,13,'finished',0,NULL,1.79577562089191937444e+09,'{"state":"COMPLETE","values":[0.3125],"step":4}');
INSERT INTO "automl_events" VALUES(1,14,'asked',1,NULL,1.79577562090190291405e+09,'{"params":{"trainer":"plain","model.x":0.5064160452814435,"model.steps":2,"model.y":0.1983355808332541},"trainer":"plain","source":"share","sampler":"tpe","trial_attrs":{"fixed_params":{"trainer":0}},"study_attrs":{},"seen":2}');
INSERT INTO "automl_events" VALUES(1,15,'started',1,1,1.795775620924110651e+09,'{"pid":17792,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.502}');
INSERT INTO "automl_events" VALUES(1,16,'reported',1,1,1.79577562092803382875e+09,'{"step":1,"metrics":{"loss":0.7957942135429612},"prune":false,"trial_attrs":{"completed_rung_0":0.7957942135429612},"alive_s":0.506}');
INSERT INTO "automl_events" VALUES(1,17,'reported',1,1,1.79577562092967772484e+09,'{"step":2,"metrics":{"loss":0.5457942135429612},"prune":false,"trial_attrs":{"completed_rung_1":0.5457942135429612},"alive_s":0.508}');
INSERT INTO "automl_events" VALUES(1,18,'ended',1,1,1.79577562093137931822e+09,'{"outcome":"complete","alive_s":0.509}');
INSERT INTO "automl_events" VALUES(1,19,'finished',1,NULL,1.79577562093137931822e+09,'{"state":"COMPLETE","values":[0.5457942135429612],"step":2}');
INSERT INTO "automl_events" VALUES(1,20,'asked',2,NULL,1.79577562093396854402e+09,'{"params":{"trainer":"plain","model.x":0.010859491019367258,"model.steps":2,"model.y":-0.2882313883407055},"trainer":"plain","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{},"seen":14}');
INSERT INTO "automl_events" VALUES(1,21,'started',2,1,1.79577562094078922272e+09,'{"pid":17792,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.519}');
INSERT INTO "automl_events" VALUES(1,22,'reported',2,1,1.79577562094238829615e+09,'{"step":1,"metrics":{"loss":0.5831952617700102},"prune":false,"trial_attrs":{"completed_rung_0":0.5831952617700102},"alive_s":0.52}');
INSERT INTO "automl_events" VALUES(1,23,'reported',2,1,1.79577562094378519056e+09,'{"step":2,"metrics":{"loss":0.3331952617700103},"prune":false,"trial_attrs":{"completed_rung_1":0.3331952617700103},"alive_s":0.522}');
INSERT INTO "automl_events" VALUES(1,24,'ended',2,1,1795775620.94783,'{"outcome":"complete","alive_s":0.526}');
INSERT INTO "automl_events" VALUES(1,25,'finished',2,NULL,1795775620.94783,'{"state":"COMPLETE","values":[0.3331952617700103],"step":2}');
INSERT INTO "automl_events" VALUES(1,26,'asked',3,NULL,1.79577562095023202893e+09,'{"params":{"trainer":"plain","model.x":0.48845742001465714,"model.steps":4,"model.y":-0.9918007558487727},"trainer":"plain","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{},"seen":20}');
INSERT INTO "automl_events" VALUES(1,27,'started',3,1,1.79577562095598030093e+09,'{"pid":17792,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.534}');
INSERT INTO "automl_events" VALUES(1,28,'reported',3,1,1.7957756209578483105e+09,'{"step":1,"metrics":{"loss":1.722259390469572},"prune":false,"trial_attrs":{},"alive_s":0.536}');
INSERT INTO "automl_events" VALUES(1,29,'reported',3,1,1.79577562096013045316e+09,'{"step":2,"metrics":{"loss":1.472259390469572},"prune":true,"trial_attrs":{"completed_rung_0":1.472259390469572},"alive_s":0.538}');
INSERT INTO "automl_events" VALUES(1,30,'ended',3,1,1.79577562096013045316e+09,'{"outcome":"pruned","alive_s":0.538}');
INSERT INTO "automl_events" VALUES(1,31,'finished',3,NULL,1.79577562096013045316e+09,'{"state":"PRUNED","reason":"pruned at step 2"}');
INSERT INTO "automl_events" VALUES(1,32,'asked',4,NULL,1.79577562096934723861e+09,'{"params":{"trainer":"saves","model.x":1.3905986823476642,"model.steps":4},"trainer":"saves","source":"share","sampler":"tpe","trial_attrs":{"fixed_params":{"trainer":1},"tpe:relative_params:0":"{\"model.steps\": 1, \"model.x\": 1.3905986823476642, \"trainer\": 1, \"model.y\": 0.9847706338458068}"},"study_attrs":{},"seen":31}');
INSERT INTO "automl_events" VALUES(1,33,'started',4,1,1.79577562097286510473e+09,'{"pid":17792,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.551}');
INSERT INTO "automl_events" VALUES(1,34,'checkpointed',4,1,1.79577562097756123545e+09,'{"step":0,"path":"@ROOT@/runs/conditional/trials/4/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,35,'reported',4,1,1.79577562097971630099e+09,'{"step":1,"metrics":{"loss":2.43376469534706,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.558}');
INSERT INTO "automl_events" VALUES(1,36,'checkpointed',4,1,1.79577562100527286532e+09,'{"step":1,"path":"@ROOT@/runs/conditional/trials/4/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,37,'reported',4,1,1.7957756210077388286e+09,'{"step":2,"metrics":{"loss":2.18376469534706,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.586}');
INSERT INTO "automl_events" VALUES(1,38,'checkpointed',4,1,1.79577562101905822749e+09,'{"step":2,"path":"@ROOT@/runs/conditional/trials/4/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,39,'reported',4,1,1.7957756210209670067e+09,'{"step":3,"metrics":{"loss":2.05876469534706,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.599}');
INSERT INTO "automl_events" VALUES(1,40,'checkpointed',4,1,1.79577562102705383297e+09,'{"step":3,"path":"@ROOT@/runs/conditional/trials/4/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,41,'reported',4,1,1.79577562102894687651e+09,'{"step":4,"metrics":{"loss":1.9962646953470597,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":1.9962646953470597},"alive_s":0.607}');
INSERT INTO "automl_events" VALUES(1,42,'ended',4,1,1.79577562103143620496e+09,'{"outcome":"complete","alive_s":0.61}');
INSERT INTO "automl_events" VALUES(1,43,'finished',4,NULL,1.79577562103143620496e+09,'{"state":"COMPLETE","values":[1.9962646953470597],"step":4}');
INSERT INTO "automl_events" VALUES(1,44,'asked',5,NULL,1.79577562103743863103e+09,'{"params":{"trainer":"saves","model.x":0.037227434578183456,"model.steps":4},"trainer":"saves","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.steps\": 1, \"model.x\": 0.037227434578183456, \"trainer\": 1, \"model.y\": 0.9807677936745994}"},"study_attrs":{},"seen":43}');
INSERT INTO "automl_events" VALUES(1,45,'started',5,1,1.79577562104177260397e+09,'{"pid":17792,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.62}');
INSERT INTO "automl_events" VALUES(1,46,'checkpointed',5,1,1.79577562105297493938e+09,'{"step":0,"path":"@ROOT@/runs/conditional/trials/5/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,47,'reported',5,1,1.79577562105472230908e+09,'{"step":1,"metrics":{"loss":0.5013858818852729,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.5013858818852729},"alive_s":0.633}');
INSERT INTO "automl_events" VALUES(1,48,'checkpointed',5,1,1.79577562106081271169e+09,'{"step":1,"path":"@ROOT@/runs/conditional/trials/5/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,49,'reported',5,1,1.79577562106293630596e+09,'{"step":2,"metrics":{"loss":0.25138588188527294,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_1":0.25138588188527294},"alive_s":0.641}');
INSERT INTO "automl_events" VALUES(1,50,'checkpointed',5,1,1.79577562107361054415e+09,'{"step":2,"path":"@ROOT@/runs/conditional/trials/5/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,51,'reported',5,1,1.79577562107647728919e+09,'{"step":3,"metrics":{"loss":0.12638588188527292,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.655}');
INSERT INTO "automl_events" VALUES(1,52,'checkpointed',5,1,1.79577562111957049362e+09,'{"step":3,"path":"@ROOT@/runs/conditional/trials/5/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,53,'reported',5,1,1.79577562112684750552e+09,'{"step":4,"metrics":{"loss":0.06388588188527293,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_2":0.06388588188527293},"alive_s":0.705}');
INSERT INTO "automl_events" VALUES(1,54,'ended',5,1,1.79577562114292597775e+09,'{"outcome":"complete","alive_s":0.721}');
INSERT INTO "automl_events" VALUES(1,55,'finished',5,NULL,1.79577562114292597775e+09,'{"state":"COMPLETE","values":[0.06388588188527293],"step":4}');
INSERT INTO "automl_events" VALUES(1,56,'asked',6,NULL,1.79577562116091179848e+09,'{"params":{"trainer":"saves","model.x":0.014047873963445071,"model.steps":4},"trainer":"saves","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.steps\": 1, \"model.x\": 0.014047873963445071, \"trainer\": 1, \"model.y\": 0.9677198753073623}"},"study_attrs":{},"seen":55}');
INSERT INTO "automl_events" VALUES(1,57,'started',6,1,1.79577562116842556001e+09,'{"pid":17792,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.746}');
INSERT INTO "automl_events" VALUES(1,58,'checkpointed',6,1,1.79577562119885587692e+09,'{"step":0,"path":"@ROOT@/runs/conditional/trials/6/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,59,'reported',6,1,1.79577562120617198948e+09,'{"step":1,"metrics":{"loss":0.5001973427628928,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.784}');
INSERT INTO "automl_events" VALUES(1,60,'checkpointed',6,1,1.79577562122061467168e+09,'{"step":1,"path":"@ROOT@/runs/conditional/trials/6/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,61,'reported',6,1,1.7957756212279293537e+09,'{"step":2,"metrics":{"loss":0.25019734276289285,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.806}');
INSERT INTO "automl_events" VALUES(1,62,'checkpointed',6,1,1.79577562123687624936e+09,'{"step":2,"path":"@ROOT@/runs/conditional/trials/6/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,63,'reported',6,1,1.79577562124379229544e+09,'{"step":3,"metrics":{"loss":0.12519734276289285,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.822}');
INSERT INTO "automl_events" VALUES(1,64,'checkpointed',6,1,1.79577562129743409152e+09,'{"step":3,"path":"@ROOT@/runs/conditional/trials/6/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,65,'reported',6,1,1.79577562130103659632e+09,'{"step":4,"metrics":{"loss":0.06269734276289284,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.06269734276289284},"alive_s":0.879}');
INSERT INTO "automl_events" VALUES(1,66,'ended',6,1,1.79577562130787134163e+09,'{"outcome":"complete","alive_s":0.886}');
INSERT INTO "automl_events" VALUES(1,67,'finished',6,NULL,1.79577562130787134163e+09,'{"state":"COMPLETE","values":[0.06269734276289284],"step":4}');
INSERT INTO "automl_events" VALUES(1,68,'asked',7,NULL,1.79577562132485175133e+09,'{"params":{"trainer":"saves","model.x":0.06894254863866811,"model.steps":2},"trainer":"saves","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.steps\": 0, \"model.x\": 0.06894254863866811, \"trainer\": 1, \"model.y\": 0.671696938036134}"},"study_attrs":{},"seen":67}');
INSERT INTO "automl_events" VALUES(1,69,'started',7,1,1.79577562133140325546e+09,'{"pid":17792,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.909}');
INSERT INTO "automl_events" VALUES(1,70,'checkpointed',7,1,1.79577562135518121718e+09,'{"step":0,"path":"@ROOT@/runs/conditional/trials/7/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,71,'reported',7,1,1.79577562135750889776e+09,'{"step":1,"metrics":{"loss":0.5047530750127951,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.936}');
INSERT INTO "automl_events" VALUES(1,72,'checkpointed',7,1,1.79577562139487290383e+09,'{"step":1,"path":"@ROOT@/runs/conditional/trials/7/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,73,'reported',7,1,1.79577562139927077297e+09,'{"step":2,"metrics":{"loss":0.2547530750127951,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":0.977}');
INSERT INTO "automl_events" VALUES(1,74,'ended',7,1,1.79577562140104269976e+09,'{"outcome":"complete","alive_s":0.979}');
INSERT INTO "automl_events" VALUES(1,75,'finished',7,NULL,1.79577562140104269976e+09,'{"state":"COMPLETE","values":[0.2547530750127951],"step":2}');
INSERT INTO "automl_events" VALUES(1,76,'asked',8,NULL,1.7957756214066441059e+09,'{"params":{"trainer":"saves","model.x":0.010468410764788964,"model.steps":4},"trainer":"saves","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.steps\": 1, \"model.x\": 0.010468410764788964, \"trainer\": 1, \"model.y\": 0.9849102561161487}"},"study_attrs":{},"seen":75}');
INSERT INTO "automl_events" VALUES(1,77,'started',8,1,1.79577562140939331054e+09,'{"pid":17792,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.987}');
INSERT INTO "automl_events" VALUES(1,78,'checkpointed',8,1,1.79577562142115283012e+09,'{"step":0,"path":"@ROOT@/runs/conditional/trials/8/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,79,'reported',8,1,1.79577562142671728136e+09,'{"step":1,"metrics":{"loss":0.5001095876239403,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_0":0.5001095876239403},"alive_s":1.005}');
INSERT INTO "automl_events" VALUES(1,80,'checkpointed',8,1,1.79577562143698692327e+09,'{"step":1,"path":"@ROOT@/runs/conditional/trials/8/checkpoint-00000001"}');
INSERT INTO "automl_events" VALUES(1,81,'reported',8,1,1.79577562144127488141e+09,'{"step":2,"metrics":{"loss":0.25010958762394037,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_1":0.25010958762394037},"alive_s":1.019}');
INSERT INTO "automl_events" VALUES(1,82,'checkpointed',8,1,1.79577562149327874183e+09,'{"step":2,"path":"@ROOT@/runs/conditional/trials/8/checkpoint-00000002"}');
INSERT INTO "automl_events" VALUES(1,83,'reported',8,1,1.79577562150018692015e+09,'{"step":3,"metrics":{"loss":0.12510958762394034,"first":1.0},"prune":false,"trial_attrs":{},"alive_s":1.078}');
INSERT INTO "automl_events" VALUES(1,84,'checkpointed',8,1,1.79577562153921532631e+09,'{"step":3,"path":"@ROOT@/runs/conditional/trials/8/checkpoint-00000003"}');
INSERT INTO "automl_events" VALUES(1,85,'reported',8,1,1.79577562154118347166e+09,'{"step":4,"metrics":{"loss":0.06260958762394035,"first":1.0},"prune":false,"trial_attrs":{"completed_rung_2":0.06260958762394035},"alive_s":1.119}');
INSERT INTO "automl_events" VALUES(1,86,'ended',8,1,1.79577562154328560827e+09,'{"outcome":"complete","alive_s":1.121}');
INSERT INTO "automl_events" VALUES(1,87,'finished',8,NULL,1.79577562154328560827e+09,'{"state":"COMPLETE","values":[0.06260958762394035],"step":4}');
INSERT INTO "automl_events" VALUES(1,88,'asked',9,NULL,1.79577562156774902342e+09,'{"params":{"trainer":"saves","model.x":0.12688204290287486,"model.steps":4},"trainer":"saves","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.steps\": 1, \"model.x\": 0.12688204290287486, \"trainer\": 1, \"model.y\": 0.8229124435899368}"},"study_attrs":{},"seen":87}');
INSERT INTO "automl_events" VALUES(1,89,'started',9,1,1.79577562157781100279e+09,'{"pid":17792,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":1.156}');
INSERT INTO "automl_events" VALUES(1,90,'checkpointed',9,1,1.79577562159516263004e+09,'{"step":0,"path":"@ROOT@/runs/conditional/trials/9/checkpoint-00000000"}');
INSERT INTO "automl_events" VALUES(1,91,'reported',9,1,1.79577562161910462374e+09,'{"step":1,"metrics":{"loss":0.5160990528112069,"first":1.0},"prune":true,"trial_attrs":{"completed_rung_0":0.5160990528112069},"alive_s":1.197}');
INSERT INTO "automl_events" VALUES(1,92,'ended',9,1,1.79577562161910462374e+09,'{"outcome":"pruned","alive_s":1.197}');
INSERT INTO "automl_events" VALUES(1,93,'finished',9,NULL,1.79577562161910462374e+09,'{"state":"PRUNED","reason":"pruned at step 1"}');
INSERT INTO "automl_events" VALUES(1,94,'published',8,NULL,1.7957756217862377167e+09,'{"step":4,"values":[0.06260958762394035],"error":"trial 8 kept no weights; return a scikit-learn estimator"}');
INSERT INTO "automl_events" VALUES(1,95,'closed',NULL,NULL,1.79577562178754734987e+09,'{"state":"ENDED","reason":"budget.trials","alive_s":1.366}');
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
INSERT INTO "automl_leases" VALUES(1,1,NULL,'host-a','@MACHINE@',17628,33680.33,0,30.0,1.79577562031101584431e+09);
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
INSERT INTO "automl_searches" VALUES(1,'conditional',1.79577562030326676363e+09);
CREATE UNIQUE INDEX automl_asked_once ON automl_events (search_id, trial) WHERE kind = 'asked';
CREATE UNIQUE INDEX automl_finished_once ON automl_events (search_id, trial) WHERE kind = 'finished';
CREATE INDEX automl_requests_search ON automl_requests (search_id);
COMMIT;
