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
INSERT INTO "automl_events" VALUES(1,1,'opened',NULL,NULL,1.79577562617088770866e+09,'{"spec":{"schema":1,"name":"finished","seed":1,"objective":{"metric":"loss","direction":"minimize"},"trainer":{"framework":"function","model":"trainers.tiny_function:crashes"},"space":{"model.x":{"float":[-2.0,2.0]},"model.above":1.0,"model.at":2},"budget":{"trials":14,"failures":100},"search":{"sampler":{"name":"tpe","n_startup_trials":4},"pruner":{"name":"median","n_startup_trials":2,"n_warmup_steps":1}},"resources":{"cpus":1,"gpus":0,"parallel":1},"retries":2,"timeout":{"silence":"1h"},"storage":"runs","keep":3,"tracking":false},"text":"name: finished\nseed: 1\nobjective: {metric: loss, direction: minimize}\ntrainer: {framework: function, model: \"trainers.tiny_function:crashes\"}\nspace:\n  model.x: {float: [-2.0, 2.0]}\n  model.above: 1.0                # the trials right of it raise\n  model.at: 2\nbudget: {trials: 14, failures: 100}\nsearch:\n  sampler: {name: tpe, n_startup_trials: 4}\n  pruner: {name: median, n_startup_trials: 2, n_warmup_steps: 1}\nresources: {parallel: 1}\ntracking: false\n","versions":{"python":"3.11.7","platform":"Linux","automl":"0.1.0","ray":"2.60.0","optuna":"5.0.0","torch":"2.13.0+cpu","pytorch-lightning":"2.6.6","tensorflow":"2.21.0","keras":"3.15.1","mlflow":"3.17.2"},"git":null,"host":"host-a","pid":17984,"engine":"local","owner":"ann@host-a","strangers":[]}');
INSERT INTO "automl_events" VALUES(1,2,'asked',0,NULL,1.79577562619084620475e+09,'{"params":{"model.above":1.0,"model.at":2,"model.x":1.190286577967914},"trainer":"trainer","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{},"seen":1}');
INSERT INTO "automl_events" VALUES(1,3,'started',0,1,1.79577562621020150185e+09,'{"pid":18104,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.025}');
INSERT INTO "automl_events" VALUES(1,4,'reported',0,1,1.79577562642369127276e+09,'{"step":1,"metrics":{"loss":2.416782137690567},"prune":false,"trial_attrs":{},"alive_s":0.238}');
INSERT INTO "automl_events" VALUES(1,5,'ended',0,1,1.79577562642817783362e+09,'{"outcome":"failed","error":"RuntimeError: boom at step 2","cause":"code","place":"81b2609811a5","trace":"Traceback (most recent call last):\n  File \"@AUTOML@/worker.py\", line 186, in _attempt\n    return self._resumed(resume, files)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 227, in _resumed\n    outcome = self._train(handle)\n              ^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 245, in _train\n    return train(self.framework, handle, self._link.pulse)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/frameworks/base.py\", line 174, in train\n    vendor.train(handle, model, data)\n  File \"@AUTOML@/frameworks/function.py\", line 168, in train\n    returned = model(trial, **_arguments(handle.task, model))\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@ROOT@/trainers/tiny_function.py\", line 64, in crashes\n    _steps(trial, x, steps, sleep, _when(trial, x, above, at, once_in, grief))\n  File \"@ROOT@/trainers/tiny_function.py\", line 169, in _steps\n    check(step)\n  File \"@ROOT@/trainers/tiny_function.py\", line 151, in check\n    grief()\n  File \"@ROOT@/trainers/tiny_function.py\", line 62, in grief\n    raise RuntimeError(f\"boom at step {at}\")\nRuntimeError: boom at step 2\n","ruling":"not tried again: it would only happen again","alive_s":0.243}');
INSERT INTO "automl_events" VALUES(1,6,'finished',0,NULL,1.79577562642817783362e+09,'{"state":"FAILED","error":"RuntimeError: boom at step 2","reason":"code"}');
INSERT INTO "automl_events" VALUES(1,7,'asked',1,NULL,1.79577562643173956873e+09,'{"params":{"model.above":1.0,"model.at":2,"model.x":1.5517979313415178},"trainer":"trainer","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{},"seen":2}');
INSERT INTO "automl_events" VALUES(1,8,'started',1,1,1.79577562643675613402e+09,'{"pid":18104,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.252}');
INSERT INTO "automl_events" VALUES(1,9,'reported',1,1,1.79577562643816709521e+09,'{"step":1,"metrics":{"loss":3.4080768197158138},"prune":false,"trial_attrs":{},"alive_s":0.253}');
INSERT INTO "automl_events" VALUES(1,10,'ended',1,1,1.79577562644071245193e+09,'{"outcome":"failed","error":"RuntimeError: boom at step 2","cause":"code","place":"81b2609811a5","trace":"Traceback (most recent call last):\n  File \"@AUTOML@/worker.py\", line 186, in _attempt\n    return self._resumed(resume, files)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 227, in _resumed\n    outcome = self._train(handle)\n              ^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 245, in _train\n    return train(self.framework, handle, self._link.pulse)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/frameworks/base.py\", line 174, in train\n    vendor.train(handle, model, data)\n  File \"@AUTOML@/frameworks/function.py\", line 168, in train\n    returned = model(trial, **_arguments(handle.task, model))\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@ROOT@/trainers/tiny_function.py\", line 64, in crashes\n    _steps(trial, x, steps, sleep, _when(trial, x, above, at, once_in, grief))\n  File \"@ROOT@/trainers/tiny_function.py\", line 169, in _steps\n    check(step)\n  File \"@ROOT@/trainers/tiny_function.py\", line 151, in check\n    grief()\n  File \"@ROOT@/trainers/tiny_function.py\", line 62, in grief\n    raise RuntimeError(f\"boom at step {at}\")\nRuntimeError: boom at step 2\n","ruling":"not tried again: it would only happen again","alive_s":0.255}');
INSERT INTO "automl_events" VALUES(1,11,'finished',1,NULL,1.79577562644071245193e+09,'{"state":"FAILED","error":"RuntimeError: boom at step 2","reason":"code"}');
INSERT INTO "automl_events" VALUES(1,12,'asked',2,NULL,1.7957756264415340423e+09,'{"params":{"model.above":1.0,"model.at":2,"model.x":-0.7204571769672268},"trainer":"trainer","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{},"seen":7}');
INSERT INTO "automl_events" VALUES(1,13,'started',2,1,1.79577562644445824628e+09,'{"pid":18104,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.259}');
INSERT INTO "automl_events" VALUES(1,14,'reported',2,1,1.79577562644558358191e+09,'{"step":1,"metrics":{"loss":1.519058543843586},"prune":false,"trial_attrs":{},"alive_s":0.26}');
INSERT INTO "automl_events" VALUES(1,15,'reported',2,1,1.79577562644647288321e+09,'{"step":2,"metrics":{"loss":1.019058543843586},"prune":false,"trial_attrs":{},"alive_s":0.261}');
INSERT INTO "automl_events" VALUES(1,16,'reported',2,1,1.79577562644726538652e+09,'{"step":3,"metrics":{"loss":0.8523918771769192},"prune":false,"trial_attrs":{},"alive_s":0.262}');
INSERT INTO "automl_events" VALUES(1,17,'ended',2,1,1.79577562644866371155e+09,'{"outcome":"complete","alive_s":0.263}');
INSERT INTO "automl_events" VALUES(1,18,'finished',2,NULL,1.79577562644866371155e+09,'{"state":"COMPLETE","values":[0.8523918771769192],"step":3}');
INSERT INTO "automl_events" VALUES(1,19,'asked',3,NULL,1.79577562644932150841e+09,'{"params":{"model.above":1.0,"model.at":2,"model.x":0.8390208267961645},"trainer":"trainer","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{},"seen":12}');
INSERT INTO "automl_events" VALUES(1,20,'started',3,1,1.79577562645204782485e+09,'{"pid":18104,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.267}');
INSERT INTO "automl_events" VALUES(1,21,'reported',3,1,1.79577562645285296436e+09,'{"step":1,"metrics":{"loss":1.7039559477977195},"prune":false,"trial_attrs":{},"alive_s":0.268}');
INSERT INTO "automl_events" VALUES(1,22,'reported',3,1,1.79577562645361685752e+09,'{"step":2,"metrics":{"loss":1.2039559477977195},"prune":false,"trial_attrs":{},"alive_s":0.268}');
INSERT INTO "automl_events" VALUES(1,23,'reported',3,1,1.79577562645437526704e+09,'{"step":3,"metrics":{"loss":1.0372892811310528},"prune":false,"trial_attrs":{},"alive_s":0.269}');
INSERT INTO "automl_events" VALUES(1,24,'ended',3,1,1.79577562645571708679e+09,'{"outcome":"complete","alive_s":0.27}');
INSERT INTO "automl_events" VALUES(1,25,'finished',3,NULL,1.79577562645571708679e+09,'{"state":"COMPLETE","values":[1.0372892811310528],"step":3}');
INSERT INTO "automl_events" VALUES(1,26,'asked',4,NULL,1.79577562645674800867e+09,'{"params":{"model.above":1.0,"model.at":2,"model.x":0.9330185782844254},"trainer":"trainer","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{},"seen":19}');
INSERT INTO "automl_events" VALUES(1,27,'started',4,1,1.7957756264603037834e+09,'{"pid":18104,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.275}');
INSERT INTO "automl_events" VALUES(1,28,'reported',4,1,1.79577562647455811505e+09,'{"step":1,"metrics":{"loss":1.8705236674238903},"prune":true,"trial_attrs":{},"alive_s":0.289}');
INSERT INTO "automl_events" VALUES(1,29,'ended',4,1,1.79577562647455811505e+09,'{"outcome":"pruned","alive_s":0.289}');
INSERT INTO "automl_events" VALUES(1,30,'finished',4,NULL,1.79577562647455811505e+09,'{"state":"PRUNED","reason":"pruned at step 1"}');
INSERT INTO "automl_events" VALUES(1,31,'asked',5,NULL,1.7957756264774644375e+09,'{"params":{"model.above":1.0,"model.at":2,"model.x":-0.9021661165317685},"trainer":"trainer","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{},"seen":26}');
INSERT INTO "automl_events" VALUES(1,32,'started',5,1,1.79577562647995185854e+09,'{"pid":18104,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.295}');
INSERT INTO "automl_events" VALUES(1,33,'reported',5,1,1.79577562648128557206e+09,'{"step":1,"metrics":{"loss":1.8139037018180124},"prune":true,"trial_attrs":{},"alive_s":0.296}');
INSERT INTO "automl_events" VALUES(1,34,'ended',5,1,1.79577562648128557206e+09,'{"outcome":"pruned","alive_s":0.296}');
INSERT INTO "automl_events" VALUES(1,35,'finished',5,NULL,1.79577562648128557206e+09,'{"state":"PRUNED","reason":"pruned at step 1"}');
INSERT INTO "automl_events" VALUES(1,36,'asked',6,NULL,1.79577562648575544358e+09,'{"params":{"model.above":1.0,"model.at":2,"model.x":-1.9607713617509341},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.x\": -1.9607713617509341}"},"study_attrs":{},"seen":35}');
INSERT INTO "automl_events" VALUES(1,37,'started',6,1,1.79577562648793315888e+09,'{"pid":18104,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.303}');
INSERT INTO "automl_events" VALUES(1,38,'reported',6,1,1.79577562648916459081e+09,'{"step":1,"metrics":{"loss":4.844624333062613},"prune":true,"trial_attrs":{},"alive_s":0.304}');
INSERT INTO "automl_events" VALUES(1,39,'ended',6,1,1.79577562648916459081e+09,'{"outcome":"pruned","alive_s":0.304}');
INSERT INTO "automl_events" VALUES(1,40,'finished',6,NULL,1.79577562648916459081e+09,'{"state":"PRUNED","reason":"pruned at step 1"}');
INSERT INTO "automl_events" VALUES(1,41,'asked',7,NULL,1.79577562649307227128e+09,'{"params":{"model.above":1.0,"model.at":2,"model.x":1.9406346871848474},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.x\": 1.9406346871848474}"},"study_attrs":{},"seen":40}');
INSERT INTO "automl_events" VALUES(1,42,'started',7,1,1.79577562649526500698e+09,'{"pid":18104,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.31}');
INSERT INTO "automl_events" VALUES(1,43,'reported',7,1,1.7957756264963827133e+09,'{"step":1,"metrics":{"loss":4.766062989105031},"prune":true,"trial_attrs":{},"alive_s":0.311}');
INSERT INTO "automl_events" VALUES(1,44,'ended',7,1,1.7957756264963827133e+09,'{"outcome":"pruned","alive_s":0.311}');
INSERT INTO "automl_events" VALUES(1,45,'finished',7,NULL,1.7957756264963827133e+09,'{"state":"PRUNED","reason":"pruned at step 1"}');
INSERT INTO "automl_events" VALUES(1,46,'asked',8,NULL,1.7957756265017094612e+09,'{"params":{"model.above":1.0,"model.at":2,"model.x":-0.48835550719313253},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.x\": -0.48835550719313253}"},"study_attrs":{},"seen":45}');
INSERT INTO "automl_events" VALUES(1,47,'started',8,1,1.79577562650391960139e+09,'{"pid":18104,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.319}');
INSERT INTO "automl_events" VALUES(1,48,'reported',8,1,1.79577562650517416004e+09,'{"step":1,"metrics":{"loss":1.2384911014058617},"prune":false,"trial_attrs":{},"alive_s":0.32}');
INSERT INTO "automl_events" VALUES(1,49,'reported',8,1,1.79577562650643014902e+09,'{"step":2,"metrics":{"loss":0.7384911014058617},"prune":false,"trial_attrs":{},"alive_s":0.321}');
INSERT INTO "automl_events" VALUES(1,50,'reported',8,1,1.79577562650772285454e+09,'{"step":3,"metrics":{"loss":0.571824434739195},"prune":false,"trial_attrs":{},"alive_s":0.322}');
INSERT INTO "automl_events" VALUES(1,51,'ended',8,1,1.79577562650896072385e+09,'{"outcome":"complete","alive_s":0.324}');
INSERT INTO "automl_events" VALUES(1,52,'finished',8,NULL,1.79577562650896072385e+09,'{"state":"COMPLETE","values":[0.571824434739195],"step":3}');
INSERT INTO "automl_events" VALUES(1,53,'asked',9,NULL,1.79577562651176810262e+09,'{"params":{"model.above":1.0,"model.at":2,"model.x":-0.1821958047622123},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.x\": -0.1821958047622123}"},"study_attrs":{},"seen":52}');
INSERT INTO "automl_events" VALUES(1,54,'started',9,1,1.79577562651366877551e+09,'{"pid":18104,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.328}');
INSERT INTO "automl_events" VALUES(1,55,'reported',9,1,1.79577562651470494263e+09,'{"step":1,"metrics":{"loss":1.0331953112729502},"prune":false,"trial_attrs":{},"alive_s":0.329}');
INSERT INTO "automl_events" VALUES(1,56,'reported',9,1,1.79577562651569175725e+09,'{"step":2,"metrics":{"loss":0.5331953112729502},"prune":false,"trial_attrs":{},"alive_s":0.33}');
INSERT INTO "automl_events" VALUES(1,57,'reported',9,1,1.79577562651665759087e+09,'{"step":3,"metrics":{"loss":0.3665286446062835},"prune":false,"trial_attrs":{},"alive_s":0.331}');
INSERT INTO "automl_events" VALUES(1,58,'ended',9,1,1.79577562651783061023e+09,'{"outcome":"complete","alive_s":0.333}');
INSERT INTO "automl_events" VALUES(1,59,'finished',9,NULL,1.79577562651783061023e+09,'{"state":"COMPLETE","values":[0.3665286446062835],"step":3}');
INSERT INTO "automl_events" VALUES(1,60,'asked',10,NULL,1.79577562652053570745e+09,'{"params":{"model.above":1.0,"model.at":2,"model.x":0.5370660282248217},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.x\": 0.5370660282248217}"},"study_attrs":{},"seen":59}');
INSERT INTO "automl_events" VALUES(1,61,'started',10,1,1.79577562652253031735e+09,'{"pid":18104,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.337}');
INSERT INTO "automl_events" VALUES(1,62,'reported',10,1,1.7957756265238838196e+09,'{"step":1,"metrics":{"loss":1.288439918673185},"prune":false,"trial_attrs":{},"alive_s":0.339}');
INSERT INTO "automl_events" VALUES(1,63,'reported',10,1,1.79577562652504158025e+09,'{"step":2,"metrics":{"loss":0.788439918673185},"prune":false,"trial_attrs":{},"alive_s":0.34}');
INSERT INTO "automl_events" VALUES(1,64,'reported',10,1,1.79577562652600502971e+09,'{"step":3,"metrics":{"loss":0.6217732520065183},"prune":false,"trial_attrs":{},"alive_s":0.341}');
INSERT INTO "automl_events" VALUES(1,65,'ended',10,1,1.79577562652717900274e+09,'{"outcome":"complete","alive_s":0.342}');
INSERT INTO "automl_events" VALUES(1,66,'finished',10,NULL,1.79577562652717900274e+09,'{"state":"COMPLETE","values":[0.6217732520065183],"step":3}');
INSERT INTO "automl_events" VALUES(1,67,'asked',11,NULL,1.79577562653012132642e+09,'{"params":{"model.above":1.0,"model.at":2,"model.x":-1.8188846173963362},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.x\": -1.8188846173963362}"},"study_attrs":{},"seen":66}');
INSERT INTO "automl_events" VALUES(1,68,'started',11,1,1.79577562653208732605e+09,'{"pid":18104,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.347}');
INSERT INTO "automl_events" VALUES(1,69,'reported',11,1,1.79577562653538107869e+09,'{"step":1,"metrics":{"loss":4.308341251401016},"prune":true,"trial_attrs":{},"alive_s":0.35}');
INSERT INTO "automl_events" VALUES(1,70,'ended',11,1,1.79577562653538107869e+09,'{"outcome":"pruned","alive_s":0.35}');
INSERT INTO "automl_events" VALUES(1,71,'finished',11,NULL,1.79577562653538107869e+09,'{"state":"PRUNED","reason":"pruned at step 1"}');
INSERT INTO "automl_events" VALUES(1,72,'asked',12,NULL,1.79577562653965520857e+09,'{"params":{"model.above":1.0,"model.at":2,"model.x":1.7429889117590152},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.x\": 1.7429889117590152}"},"study_attrs":{},"seen":71}');
INSERT INTO "automl_events" VALUES(1,73,'started',12,1,1.79577562654151177403e+09,'{"pid":18104,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.356}');
INSERT INTO "automl_events" VALUES(1,74,'reported',12,1,1.79577562654292249679e+09,'{"step":1,"metrics":{"loss":4.038010346514875},"prune":true,"trial_attrs":{},"alive_s":0.358}');
INSERT INTO "automl_events" VALUES(1,75,'ended',12,1,1.79577562654292249679e+09,'{"outcome":"pruned","alive_s":0.358}');
INSERT INTO "automl_events" VALUES(1,76,'finished',12,NULL,1.79577562654292249679e+09,'{"state":"PRUNED","reason":"pruned at step 1"}');
INSERT INTO "automl_events" VALUES(1,77,'asked',13,NULL,1.7957756265464048385e+09,'{"params":{"model.above":1.0,"model.at":2,"model.x":-0.29951585312707296},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.x\": -0.29951585312707296}"},"study_attrs":{},"seen":76}');
INSERT INTO "automl_events" VALUES(1,78,'started',13,1,1.79577562654927778244e+09,'{"pid":18104,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"b698b08ca3b97b0a","resumed_step":0,"micro":1,"alive_s":0.364}');
INSERT INTO "automl_events" VALUES(1,79,'reported',13,1,1.79577562655064535139e+09,'{"step":1,"metrics":{"loss":1.0897097462744383},"prune":false,"trial_attrs":{},"alive_s":0.365}');
INSERT INTO "automl_events" VALUES(1,80,'reported',13,1,1.79577562655183434487e+09,'{"step":2,"metrics":{"loss":0.5897097462744383},"prune":false,"trial_attrs":{},"alive_s":0.367}');
INSERT INTO "automl_events" VALUES(1,81,'reported',13,1,1.79577562655287694933e+09,'{"step":3,"metrics":{"loss":0.42304307960777165},"prune":false,"trial_attrs":{},"alive_s":0.368}');
INSERT INTO "automl_events" VALUES(1,82,'ended',13,1,1.79577562655521297458e+09,'{"outcome":"complete","alive_s":0.37}');
INSERT INTO "automl_events" VALUES(1,83,'finished',13,NULL,1.79577562655521297458e+09,'{"state":"COMPLETE","values":[0.42304307960777165],"step":3}');
INSERT INTO "automl_events" VALUES(1,84,'published',9,NULL,1.79577562662836933129e+09,'{"step":3,"values":[0.3665286446062835],"error":"trial 9 kept no weights; return a scikit-learn estimator"}');
INSERT INTO "automl_events" VALUES(1,85,'closed',NULL,NULL,1.79577562663070559498e+09,'{"state":"ENDED","reason":"budget.trials","alive_s":0.445}');
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
INSERT INTO "automl_leases" VALUES(1,1,NULL,'host-a','@MACHINE@',17984,33687.97,0,30.0,1.79577562609601759906e+09);
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
INSERT INTO "automl_searches" VALUES(1,'finished',1.79577562607727980615e+09);
CREATE UNIQUE INDEX automl_asked_once ON automl_events (search_id, trial) WHERE kind = 'asked';
CREATE UNIQUE INDEX automl_finished_once ON automl_events (search_id, trial) WHERE kind = 'finished';
CREATE INDEX automl_requests_search ON automl_requests (search_id);
COMMIT;
