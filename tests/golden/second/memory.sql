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
INSERT INTO "automl_events" VALUES(1,1,'opened',NULL,NULL,1.79544406680365133286e+09,'{"spec":{"schema":1,"name":"memory","seed":5,"objective":{"metric":"loss","direction":"minimize"},"trainer":{"framework":"function","model":"trainers.grief:splits"},"space":{"model.x":{"float":[-1.0,1.0]},"model.rows":{"choice":[8,16,64]}},"budget":{"trials":8,"failures":100},"search":{"sampler":{"name":"tpe","n_startup_trials":3},"pruner":"none"},"resources":{"cpus":1,"gpus":0,"parallel":1},"retries":2,"timeout":{"silence":"1h"},"storage":"runs","keep":3,"tracking":false},"text":"name: memory\nseed: 5\nobjective: {metric: loss, direction: minimize}\ntrainer: {framework: function, model: \"trainers.grief:splits\"}\nspace:\n  model.x: {float: [-1.0, 1.0]}\n  model.rows: {choice: [8, 16, 64]}     # fits; fits in two parts; does not fit\nbudget: {trials: 8, failures: 100}\nsearch: {sampler: {name: tpe, n_startup_trials: 3}, pruner: none}\nresources: {parallel: 1}\ntracking: false\n","versions":{"python":"3.11.7","platform":"Linux","automl":"0.1.0","ray":"2.60.0","optuna":"5.0.0","torch":"2.13.0+cpu","pytorch-lightning":"2.6.6","tensorflow":"2.21.0","keras":"3.15.1","mlflow":"3.17.2"},"git":null,"host":"host-a","pid":7147,"engine":"local","strangers":[]}');
INSERT INTO "automl_events" VALUES(1,2,'asked',0,NULL,1.79544406682502675053e+09,'{"params":{"model.x":-0.46551812307370155,"model.rows":16},"trainer":"trainer","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,3,'started',0,1,1.79544406688081049916e+09,'{"pid":7187,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"7146914d8abaa53c","resumed_step":0,"micro":1,"alive_s":0.061}');
INSERT INTO "automl_events" VALUES(1,4,'ended',0,1,1.79544406700110054011e+09,'{"outcome":"failed","error":"MemoryError: no room","cause":"memory","place":"0218aa6cd455","trace":"Traceback (most recent call last):\n  File \"@AUTOML@/worker.py\", line 159, in _attempt\n    return self._resumed(resume, files)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 193, in _resumed\n    outcome = self._train(handle)\n              ^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 216, in _train\n    vendor.train(handle, model, data)\n  File \"@AUTOML@/frameworks/function.py\", line 168, in train\n    returned = model(trial, **_arguments(handle.task, model))\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@ROOT@/trainers/grief.py\", line 117, in splits\n    raise MemoryError(\"no room\")\nMemoryError: no room\n","ruling":"tried again with each batch in 2 parts, whose gradients add up","again":true,"micro":2,"alive_s":0.182}');
INSERT INTO "automl_events" VALUES(1,5,'started',0,2,1.7954440675662477016e+09,'{"pid":7223,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"7146914d8abaa53c","resumed_step":0,"micro":2,"alive_s":0.747}');
INSERT INTO "automl_events" VALUES(1,6,'reported',0,2,1.79544406779688525202e+09,'{"step":1,"metrics":{"loss":0.21670712291006194,"micro":2.0},"prune":false,"trial_attrs":{},"alive_s":0.977}');
INSERT INTO "automl_events" VALUES(1,7,'ended',0,2,1.7954440678088388443e+09,'{"outcome":"complete","alive_s":0.989}');
INSERT INTO "automl_events" VALUES(1,8,'finished',0,NULL,1.7954440678088388443e+09,'{"state":"COMPLETE","values":[0.21670712291006194],"step":1}');
INSERT INTO "automl_events" VALUES(1,9,'asked',1,NULL,1.79544406781516647335e+09,'{"params":{"model.x":0.10918007704976951,"model.rows":8},"trainer":"trainer","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,10,'started',1,1,1.79544406783244323727e+09,'{"pid":7223,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"7146914d8abaa53c","resumed_step":0,"micro":1,"alive_s":1.013}');
INSERT INTO "automl_events" VALUES(1,11,'reported',1,1,1.79544406783896422384e+09,'{"step":1,"metrics":{"loss":0.011920289224593606,"micro":1.0},"prune":false,"trial_attrs":{},"alive_s":1.019}');
INSERT INTO "automl_events" VALUES(1,12,'ended',1,1,1.79544406784058213234e+09,'{"outcome":"complete","alive_s":1.021}');
INSERT INTO "automl_events" VALUES(1,13,'finished',1,NULL,1.79544406784058213234e+09,'{"state":"COMPLETE","values":[0.011920289224593606],"step":1}');
INSERT INTO "automl_events" VALUES(1,14,'asked',2,NULL,1.79544406784238743781e+09,'{"params":{"model.x":0.8765169836309141,"model.rows":16},"trainer":"trainer","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,15,'started',2,1,1.79544406786686658859e+09,'{"pid":7223,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"7146914d8abaa53c","resumed_step":0,"micro":1,"alive_s":1.047}');
INSERT INTO "automl_events" VALUES(1,16,'ended',2,1,1.79544406795331740371e+09,'{"outcome":"failed","error":"MemoryError: no room","cause":"memory","place":"0218aa6cd455","trace":"Traceback (most recent call last):\n  File \"@AUTOML@/worker.py\", line 159, in _attempt\n    return self._resumed(resume, files)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 193, in _resumed\n    outcome = self._train(handle)\n              ^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 216, in _train\n    vendor.train(handle, model, data)\n  File \"@AUTOML@/frameworks/function.py\", line 168, in train\n    returned = model(trial, **_arguments(handle.task, model))\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@ROOT@/trainers/grief.py\", line 117, in splits\n    raise MemoryError(\"no room\")\nMemoryError: no room\n","ruling":"tried again with each batch in 2 parts, whose gradients add up","again":true,"micro":2,"alive_s":1.134}');
INSERT INTO "automl_events" VALUES(1,17,'started',2,2,1.79544406843870854376e+09,'{"pid":7258,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"7146914d8abaa53c","resumed_step":0,"micro":2,"alive_s":1.619}');
INSERT INTO "automl_events" VALUES(1,18,'reported',2,2,1.79544406862808799741e+09,'{"step":1,"metrics":{"loss":0.7682820225934361,"micro":2.0},"prune":false,"trial_attrs":{},"alive_s":1.809}');
INSERT INTO "automl_events" VALUES(1,19,'ended',2,2,1.79544406863673543933e+09,'{"outcome":"complete","alive_s":1.817}');
INSERT INTO "automl_events" VALUES(1,20,'finished',2,NULL,1.79544406863673543933e+09,'{"state":"COMPLETE","values":[0.7682820225934361],"step":1}');
INSERT INTO "automl_events" VALUES(1,21,'asked',3,NULL,1.79544406864009404179e+09,'{"params":{"model.x":0.006913810805830949,"model.rows":8},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.rows\": 0, \"model.x\": 0.006913810805830949}"},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,22,'started',3,1,1.79544406865901422501e+09,'{"pid":7258,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"7146914d8abaa53c","resumed_step":0,"micro":1,"alive_s":1.839}');
INSERT INTO "automl_events" VALUES(1,23,'reported',3,1,1.79544406866009449959e+09,'{"step":1,"metrics":{"loss":4.78007798588248e-05,"micro":1.0},"prune":false,"trial_attrs":{},"alive_s":1.841}');
INSERT INTO "automl_events" VALUES(1,24,'ended',3,1,1.79544406867271661753e+09,'{"outcome":"complete","alive_s":1.853}');
INSERT INTO "automl_events" VALUES(1,25,'finished',3,NULL,1.79544406867271661753e+09,'{"state":"COMPLETE","values":[4.78007798588248e-05],"step":1}');
INSERT INTO "automl_events" VALUES(1,26,'asked',4,NULL,1.79544406867569255833e+09,'{"params":{"model.x":-0.7981128028431077,"model.rows":8},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.rows\": 0, \"model.x\": -0.7981128028431077}"},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,27,'started',4,1,1.79544406870018935203e+09,'{"pid":7258,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"7146914d8abaa53c","resumed_step":0,"micro":1,"alive_s":1.881}');
INSERT INTO "automl_events" VALUES(1,28,'reported',4,1,1.79544406870491385459e+09,'{"step":1,"metrics":{"loss":0.6369840460620813,"micro":1.0},"prune":false,"trial_attrs":{},"alive_s":1.885}');
INSERT INTO "automl_events" VALUES(1,29,'ended',4,1,1.79544406870835375781e+09,'{"outcome":"complete","alive_s":1.889}');
INSERT INTO "automl_events" VALUES(1,30,'finished',4,NULL,1.79544406870835375781e+09,'{"state":"COMPLETE","values":[0.6369840460620813],"step":1}');
INSERT INTO "automl_events" VALUES(1,31,'asked',5,NULL,1.79544406872338294977e+09,'{"params":{"model.x":0.87915268457529,"model.rows":64},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.rows\": 2, \"model.x\": 0.87915268457529}"},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,32,'started',5,1,1.79544406878522562987e+09,'{"pid":7258,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"7146914d8abaa53c","resumed_step":0,"micro":1,"alive_s":1.966}');
INSERT INTO "automl_events" VALUES(1,33,'ended',5,1,1.79544406887840270995e+09,'{"outcome":"failed","error":"MemoryError: no room","cause":"memory","place":"0218aa6cd455","trace":"Traceback (most recent call last):\n  File \"@AUTOML@/worker.py\", line 159, in _attempt\n    return self._resumed(resume, files)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 193, in _resumed\n    outcome = self._train(handle)\n              ^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 216, in _train\n    vendor.train(handle, model, data)\n  File \"@AUTOML@/frameworks/function.py\", line 168, in train\n    returned = model(trial, **_arguments(handle.task, model))\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@ROOT@/trainers/grief.py\", line 117, in splits\n    raise MemoryError(\"no room\")\nMemoryError: no room\n","ruling":"tried again with each batch in 2 parts, whose gradients add up","again":true,"micro":2,"alive_s":2.059}');
INSERT INTO "automl_events" VALUES(1,34,'started',5,2,1.79544406950075983997e+09,'{"pid":7290,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"7146914d8abaa53c","resumed_step":0,"micro":2,"alive_s":2.681}');
INSERT INTO "automl_events" VALUES(1,35,'ended',5,2,1.79544406986475777628e+09,'{"outcome":"failed","error":"MemoryError: no room","cause":"memory","place":"0218aa6cd455","trace":"Traceback (most recent call last):\n  File \"@AUTOML@/worker.py\", line 159, in _attempt\n    return self._resumed(resume, files)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 193, in _resumed\n    outcome = self._train(handle)\n              ^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 216, in _train\n    vendor.train(handle, model, data)\n  File \"@AUTOML@/frameworks/function.py\", line 168, in train\n    returned = model(trial, **_arguments(handle.task, model))\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@ROOT@/trainers/grief.py\", line 117, in splits\n    raise MemoryError(\"no room\")\nMemoryError: no room\n","ruling":"infeasible: out of memory, even with smaller batches; the sampler is told to keep away","alive_s":3.045}');
INSERT INTO "automl_events" VALUES(1,36,'finished',5,NULL,1.79544406986475777628e+09,'{"state":"FAILED","error":"MemoryError: no room","reason":"infeasible"}');
INSERT INTO "automl_events" VALUES(1,37,'asked',6,NULL,1.79544406987282443048e+09,'{"params":{"model.x":-0.1808909689437317,"model.rows":64},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.rows\": 2, \"model.x\": -0.1808909689437317}"},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,38,'started',6,1,1.79544407059815812116e+09,'{"pid":7333,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"7146914d8abaa53c","resumed_step":0,"micro":1,"alive_s":3.779}');
INSERT INTO "automl_events" VALUES(1,39,'ended',6,1,1.79544407089771509175e+09,'{"outcome":"failed","error":"MemoryError: no room","cause":"memory","place":"0218aa6cd455","trace":"Traceback (most recent call last):\n  File \"@AUTOML@/worker.py\", line 159, in _attempt\n    return self._resumed(resume, files)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 193, in _resumed\n    outcome = self._train(handle)\n              ^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 216, in _train\n    vendor.train(handle, model, data)\n  File \"@AUTOML@/frameworks/function.py\", line 168, in train\n    returned = model(trial, **_arguments(handle.task, model))\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@ROOT@/trainers/grief.py\", line 117, in splits\n    raise MemoryError(\"no room\")\nMemoryError: no room\n","ruling":"tried again with each batch in 2 parts, whose gradients add up","again":true,"micro":2,"alive_s":4.078}');
INSERT INTO "automl_events" VALUES(1,40,'started',6,2,1.79544407142173480986e+09,'{"pid":7360,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"7146914d8abaa53c","resumed_step":0,"micro":2,"alive_s":4.602}');
INSERT INTO "automl_events" VALUES(1,41,'ended',6,2,1.79544407174112701421e+09,'{"outcome":"failed","error":"MemoryError: no room","cause":"memory","place":"0218aa6cd455","trace":"Traceback (most recent call last):\n  File \"@AUTOML@/worker.py\", line 159, in _attempt\n    return self._resumed(resume, files)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 193, in _resumed\n    outcome = self._train(handle)\n              ^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 216, in _train\n    vendor.train(handle, model, data)\n  File \"@AUTOML@/frameworks/function.py\", line 168, in train\n    returned = model(trial, **_arguments(handle.task, model))\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@ROOT@/trainers/grief.py\", line 117, in splits\n    raise MemoryError(\"no room\")\nMemoryError: no room\n","ruling":"infeasible: out of memory, even with smaller batches; the sampler is told to keep away","alive_s":4.922}');
INSERT INTO "automl_events" VALUES(1,42,'finished',6,NULL,1.79544407174112701421e+09,'{"state":"FAILED","error":"MemoryError: no room","reason":"infeasible"}');
INSERT INTO "automl_events" VALUES(1,43,'asked',7,NULL,1.79544407175742125508e+09,'{"params":{"model.x":0.3200726835805147,"model.rows":8},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.rows\": 0, \"model.x\": 0.3200726835805147}"},"study_attrs":{}}');
INSERT INTO "automl_events" VALUES(1,44,'started',7,1,1.79544407233279752732e+09,'{"pid":7425,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"7146914d8abaa53c","resumed_step":0,"micro":1,"alive_s":5.513}');
INSERT INTO "automl_events" VALUES(1,45,'reported',7,1,1.79544407258525109288e+09,'{"step":1,"metrics":{"loss":0.1024465227744323,"micro":1.0},"prune":false,"trial_attrs":{},"alive_s":5.766}');
INSERT INTO "automl_events" VALUES(1,46,'ended',7,1,1.79544407260479426391e+09,'{"outcome":"complete","alive_s":5.785}');
INSERT INTO "automl_events" VALUES(1,47,'finished',7,NULL,1.79544407260479426391e+09,'{"state":"COMPLETE","values":[0.1024465227744323],"step":1}');
INSERT INTO "automl_events" VALUES(1,48,'published',3,NULL,1.79544407273528861999e+09,'{"step":1,"values":[4.78007798588248e-05],"error":"trial 3 kept no weights; return a scikit-learn estimator"}');
INSERT INTO "automl_events" VALUES(1,49,'closed',NULL,NULL,1.79544407273637223248e+09,'{"state":"ENDED","reason":"budget.trials","alive_s":5.917}');
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
INSERT INTO "automl_leases" VALUES(1,1,NULL,'host-a','@MACHINE@',7147,16330.39,0,30.0);
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
INSERT INTO "automl_searches" VALUES(1,'memory',1.79544406575443863871e+09);
CREATE UNIQUE INDEX automl_asked_once ON automl_events (search_id, trial) WHERE kind = 'asked';
CREATE UNIQUE INDEX automl_finished_once ON automl_events (search_id, trial) WHERE kind = 'finished';
COMMIT;
