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
INSERT INTO "automl_events" VALUES(1,1,'opened',NULL,NULL,1.79577564779548048967e+09,'{"spec":{"schema":1,"name":"memory","seed":5,"objective":{"metric":"loss","direction":"minimize"},"trainer":{"framework":"function","model":"trainers.grief:splits"},"space":{"model.x":{"float":[-1.0,1.0]},"model.rows":{"choice":[8,16,64]}},"budget":{"trials":8,"failures":100},"search":{"sampler":{"name":"tpe","n_startup_trials":3},"pruner":"none"},"resources":{"cpus":1,"gpus":0,"parallel":1},"retries":2,"timeout":{"silence":"1h"},"storage":"runs","keep":3,"tracking":false},"text":"name: memory\nseed: 5\nobjective: {metric: loss, direction: minimize}\ntrainer: {framework: function, model: \"trainers.grief:splits\"}\nspace:\n  model.x: {float: [-1.0, 1.0]}\n  model.rows: {choice: [8, 16, 64]}     # fits; fits in two parts; does not fit\nbudget: {trials: 8, failures: 100}\nsearch: {sampler: {name: tpe, n_startup_trials: 3}, pruner: none}\nresources: {parallel: 1}\ntracking: false\n","versions":{"python":"3.11.7","platform":"Linux","automl":"0.1.0","ray":"2.60.0","optuna":"5.0.0","torch":"2.13.0+cpu","pytorch-lightning":"2.6.6","tensorflow":"2.21.0","keras":"3.15.1","mlflow":"3.17.2"},"git":null,"host":"host-a","pid":18693,"engine":"local","owner":"ann@host-a","strangers":[]}');
INSERT INTO "automl_events" VALUES(1,2,'asked',0,NULL,1.79577564780174613002e+09,'{"params":{"model.x":-0.46551812307370155,"model.rows":16},"trainer":"trainer","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{},"seen":1}');
INSERT INTO "automl_events" VALUES(1,3,'started',0,1,1.79577564785804080966e+09,'{"pid":18747,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"fd2008d57131d3fb","resumed_step":0,"micro":1,"alive_s":0.059}');
INSERT INTO "automl_events" VALUES(1,4,'ended',0,1,1.79577564804285883903e+09,'{"outcome":"failed","error":"MemoryError: no room","cause":"memory","place":"118e4de6d1f1","trace":"Traceback (most recent call last):\n  File \"@AUTOML@/worker.py\", line 186, in _attempt\n    return self._resumed(resume, files)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 227, in _resumed\n    outcome = self._train(handle)\n              ^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 245, in _train\n    return train(self.framework, handle, self._link.pulse)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/frameworks/base.py\", line 174, in train\n    vendor.train(handle, model, data)\n  File \"@AUTOML@/frameworks/function.py\", line 168, in train\n    returned = model(trial, **_arguments(handle.task, model))\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@ROOT@/trainers/grief.py\", line 120, in splits\n    raise MemoryError(\"no room\")\nMemoryError: no room\n","ruling":"tried again with each batch in 2 parts, whose gradients add up","again":true,"micro":2,"alive_s":0.244}');
INSERT INTO "automl_events" VALUES(1,5,'started',0,2,1.79577564892293596262e+09,'{"pid":18809,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"fd2008d57131d3fb","resumed_step":0,"micro":2,"alive_s":1.124}');
INSERT INTO "automl_events" VALUES(1,6,'reported',0,2,1.79577564921912837024e+09,'{"step":1,"metrics":{"loss":0.21670712291006194,"micro":2.0},"prune":false,"trial_attrs":{},"alive_s":1.42}');
INSERT INTO "automl_events" VALUES(1,7,'ended',0,2,1.79577564922824597362e+09,'{"outcome":"complete","alive_s":1.429}');
INSERT INTO "automl_events" VALUES(1,8,'finished',0,NULL,1.79577564922824597362e+09,'{"state":"COMPLETE","values":[0.21670712291006194],"step":1}');
INSERT INTO "automl_events" VALUES(1,9,'asked',1,NULL,1.79577564923182249074e+09,'{"params":{"model.x":0.10918007704976951,"model.rows":8},"trainer":"trainer","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{},"seen":2}');
INSERT INTO "automl_events" VALUES(1,10,'started',1,1,1.79577564924201869963e+09,'{"pid":18809,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"fd2008d57131d3fb","resumed_step":0,"micro":1,"alive_s":1.443}');
INSERT INTO "automl_events" VALUES(1,11,'reported',1,1,1.79577564924385118484e+09,'{"step":1,"metrics":{"loss":0.011920289224593606,"micro":1.0},"prune":false,"trial_attrs":{},"alive_s":1.445}');
INSERT INTO "automl_events" VALUES(1,12,'ended',1,1,1.79577564925084948535e+09,'{"outcome":"complete","alive_s":1.452}');
INSERT INTO "automl_events" VALUES(1,13,'finished',1,NULL,1.79577564925084948535e+09,'{"state":"COMPLETE","values":[0.011920289224593606],"step":1}');
INSERT INTO "automl_events" VALUES(1,14,'asked',2,NULL,1.79577564925321316721e+09,'{"params":{"model.x":0.8765169836309141,"model.rows":16},"trainer":"trainer","source":"startup","sampler":"tpe","trial_attrs":{},"study_attrs":{},"seen":9}');
INSERT INTO "automl_events" VALUES(1,15,'started',2,1,1.79577564927547955516e+09,'{"pid":18809,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"fd2008d57131d3fb","resumed_step":0,"micro":1,"alive_s":1.477}');
INSERT INTO "automl_events" VALUES(1,16,'ended',2,1,1.7957756493683571815e+09,'{"outcome":"failed","error":"MemoryError: no room","cause":"memory","place":"118e4de6d1f1","trace":"Traceback (most recent call last):\n  File \"@AUTOML@/worker.py\", line 186, in _attempt\n    return self._resumed(resume, files)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 227, in _resumed\n    outcome = self._train(handle)\n              ^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 245, in _train\n    return train(self.framework, handle, self._link.pulse)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/frameworks/base.py\", line 174, in train\n    vendor.train(handle, model, data)\n  File \"@AUTOML@/frameworks/function.py\", line 168, in train\n    returned = model(trial, **_arguments(handle.task, model))\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@ROOT@/trainers/grief.py\", line 120, in splits\n    raise MemoryError(\"no room\")\nMemoryError: no room\n","ruling":"tried again with each batch in 2 parts, whose gradients add up","again":true,"micro":2,"alive_s":1.57}');
INSERT INTO "automl_events" VALUES(1,17,'started',2,2,1.79577565003024578089e+09,'{"pid":18820,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"fd2008d57131d3fb","resumed_step":0,"micro":2,"alive_s":2.231}');
INSERT INTO "automl_events" VALUES(1,18,'reported',2,2,1.79577565040096402172e+09,'{"step":1,"metrics":{"loss":0.7682820225934361,"micro":2.0},"prune":false,"trial_attrs":{},"alive_s":2.602}');
INSERT INTO "automl_events" VALUES(1,19,'ended',2,2,1.79577565040336942668e+09,'{"outcome":"complete","alive_s":2.605}');
INSERT INTO "automl_events" VALUES(1,20,'finished',2,NULL,1.79577565040336942668e+09,'{"state":"COMPLETE","values":[0.7682820225934361],"step":1}');
INSERT INTO "automl_events" VALUES(1,21,'asked',3,NULL,1.79577565040714478487e+09,'{"params":{"model.x":0.006913810805830949,"model.rows":8},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.rows\": 0, \"model.x\": 0.006913810805830949}"},"study_attrs":{},"seen":20}');
INSERT INTO "automl_events" VALUES(1,22,'started',3,1,1.795775650411632061e+09,'{"pid":18820,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"fd2008d57131d3fb","resumed_step":0,"micro":1,"alive_s":2.613}');
INSERT INTO "automl_events" VALUES(1,23,'reported',3,1,1.79577565041500353815e+09,'{"step":1,"metrics":{"loss":4.78007798588248e-05,"micro":1.0},"prune":false,"trial_attrs":{},"alive_s":2.616}');
INSERT INTO "automl_events" VALUES(1,24,'ended',3,1,1.79577565041651368137e+09,'{"outcome":"complete","alive_s":2.618}');
INSERT INTO "automl_events" VALUES(1,25,'finished',3,NULL,1.79577565041651368137e+09,'{"state":"COMPLETE","values":[4.78007798588248e-05],"step":1}');
INSERT INTO "automl_events" VALUES(1,26,'asked',4,NULL,1.79577565042025446891e+09,'{"params":{"model.x":-0.7981128028431077,"model.rows":8},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.rows\": 0, \"model.x\": -0.7981128028431077}"},"study_attrs":{},"seen":25}');
INSERT INTO "automl_events" VALUES(1,27,'started',4,1,1.79577565043188714984e+09,'{"pid":18820,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"fd2008d57131d3fb","resumed_step":0,"micro":1,"alive_s":2.633}');
INSERT INTO "automl_events" VALUES(1,28,'reported',4,1,1.79577565043307161326e+09,'{"step":1,"metrics":{"loss":0.6369840460620813,"micro":1.0},"prune":false,"trial_attrs":{},"alive_s":2.634}');
INSERT INTO "automl_events" VALUES(1,29,'ended',4,1,1.795775650437130928e+09,'{"outcome":"complete","alive_s":2.638}');
INSERT INTO "automl_events" VALUES(1,30,'finished',4,NULL,1.795775650437130928e+09,'{"state":"COMPLETE","values":[0.6369840460620813],"step":1}');
INSERT INTO "automl_events" VALUES(1,31,'asked',5,NULL,1.79577565044089841844e+09,'{"params":{"model.x":0.87915268457529,"model.rows":64},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.rows\": 2, \"model.x\": 0.87915268457529}"},"study_attrs":{},"seen":30}');
INSERT INTO "automl_events" VALUES(1,32,'started',5,1,1.79577565044343638415e+09,'{"pid":18820,"node":"host-a","device":"cpu","framework":"function","warm":true,"code":"fd2008d57131d3fb","resumed_step":0,"micro":1,"alive_s":2.645}');
INSERT INTO "automl_events" VALUES(1,33,'ended',5,1,1.79577565056120681766e+09,'{"outcome":"failed","error":"MemoryError: no room","cause":"memory","place":"118e4de6d1f1","trace":"Traceback (most recent call last):\n  File \"@AUTOML@/worker.py\", line 186, in _attempt\n    return self._resumed(resume, files)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 227, in _resumed\n    outcome = self._train(handle)\n              ^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 245, in _train\n    return train(self.framework, handle, self._link.pulse)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/frameworks/base.py\", line 174, in train\n    vendor.train(handle, model, data)\n  File \"@AUTOML@/frameworks/function.py\", line 168, in train\n    returned = model(trial, **_arguments(handle.task, model))\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@ROOT@/trainers/grief.py\", line 120, in splits\n    raise MemoryError(\"no room\")\nMemoryError: no room\n","ruling":"tried again with each batch in 2 parts, whose gradients add up","again":true,"micro":2,"alive_s":2.762}');
INSERT INTO "automl_events" VALUES(1,34,'started',5,2,1.7957756513702809811e+09,'{"pid":18842,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"fd2008d57131d3fb","resumed_step":0,"micro":2,"alive_s":3.571}');
INSERT INTO "automl_events" VALUES(1,35,'ended',5,2,1.79577565178375434876e+09,'{"outcome":"failed","error":"MemoryError: no room","cause":"memory","place":"118e4de6d1f1","trace":"Traceback (most recent call last):\n  File \"@AUTOML@/worker.py\", line 186, in _attempt\n    return self._resumed(resume, files)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 227, in _resumed\n    outcome = self._train(handle)\n              ^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 245, in _train\n    return train(self.framework, handle, self._link.pulse)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/frameworks/base.py\", line 174, in train\n    vendor.train(handle, model, data)\n  File \"@AUTOML@/frameworks/function.py\", line 168, in train\n    returned = model(trial, **_arguments(handle.task, model))\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@ROOT@/trainers/grief.py\", line 120, in splits\n    raise MemoryError(\"no room\")\nMemoryError: no room\n","ruling":"infeasible: out of memory, even with smaller batches; the sampler is told to keep away","alive_s":3.985}');
INSERT INTO "automl_events" VALUES(1,36,'finished',5,NULL,1.79577565178375434876e+09,'{"state":"FAILED","error":"MemoryError: no room","reason":"infeasible"}');
INSERT INTO "automl_events" VALUES(1,37,'asked',6,NULL,1.79577565178997254373e+09,'{"params":{"model.x":-0.1808909689437317,"model.rows":64},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.rows\": 2, \"model.x\": -0.1808909689437317}"},"study_attrs":{},"seen":36}');
INSERT INTO "automl_events" VALUES(1,38,'started',6,1,1.79577565230053019526e+09,'{"pid":18847,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"fd2008d57131d3fb","resumed_step":0,"micro":1,"alive_s":4.502}');
INSERT INTO "automl_events" VALUES(1,39,'ended',6,1,1.79577565257952380178e+09,'{"outcome":"failed","error":"MemoryError: no room","cause":"memory","place":"118e4de6d1f1","trace":"Traceback (most recent call last):\n  File \"@AUTOML@/worker.py\", line 186, in _attempt\n    return self._resumed(resume, files)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 227, in _resumed\n    outcome = self._train(handle)\n              ^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 245, in _train\n    return train(self.framework, handle, self._link.pulse)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/frameworks/base.py\", line 174, in train\n    vendor.train(handle, model, data)\n  File \"@AUTOML@/frameworks/function.py\", line 168, in train\n    returned = model(trial, **_arguments(handle.task, model))\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@ROOT@/trainers/grief.py\", line 120, in splits\n    raise MemoryError(\"no room\")\nMemoryError: no room\n","ruling":"tried again with each batch in 2 parts, whose gradients add up","again":true,"micro":2,"alive_s":4.781}');
INSERT INTO "automl_events" VALUES(1,40,'started',6,2,1.79577565309280705449e+09,'{"pid":18852,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"fd2008d57131d3fb","resumed_step":0,"micro":2,"alive_s":5.294}');
INSERT INTO "automl_events" VALUES(1,41,'ended',6,2,1.79577565334685802463e+09,'{"outcome":"failed","error":"MemoryError: no room","cause":"memory","place":"118e4de6d1f1","trace":"Traceback (most recent call last):\n  File \"@AUTOML@/worker.py\", line 186, in _attempt\n    return self._resumed(resume, files)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 227, in _resumed\n    outcome = self._train(handle)\n              ^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/worker.py\", line 245, in _train\n    return train(self.framework, handle, self._link.pulse)\n           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@AUTOML@/frameworks/base.py\", line 174, in train\n    vendor.train(handle, model, data)\n  File \"@AUTOML@/frameworks/function.py\", line 168, in train\n    returned = model(trial, **_arguments(handle.task, model))\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"@ROOT@/trainers/grief.py\", line 120, in splits\n    raise MemoryError(\"no room\")\nMemoryError: no room\n","ruling":"infeasible: out of memory, even with smaller batches; the sampler is told to keep away","alive_s":5.548}');
INSERT INTO "automl_events" VALUES(1,42,'finished',6,NULL,1.79577565334685802463e+09,'{"state":"FAILED","error":"MemoryError: no room","reason":"infeasible"}');
INSERT INTO "automl_events" VALUES(1,43,'asked',7,NULL,1.79577565335168528549e+09,'{"params":{"model.x":0.3200726835805147,"model.rows":8},"trainer":"trainer","source":"sampler","sampler":"tpe","trial_attrs":{"tpe:relative_params:0":"{\"model.rows\": 0, \"model.x\": 0.3200726835805147}"},"study_attrs":{},"seen":42}');
INSERT INTO "automl_events" VALUES(1,44,'started',7,1,1.79577565398275899887e+09,'{"pid":18857,"node":"host-a","device":"cpu","framework":"function","warm":false,"code":"fd2008d57131d3fb","resumed_step":0,"micro":1,"alive_s":6.184}');
INSERT INTO "automl_events" VALUES(1,45,'reported',7,1,1.79577565434831547741e+09,'{"step":1,"metrics":{"loss":0.1024465227744323,"micro":1.0},"prune":false,"trial_attrs":{},"alive_s":6.55}');
INSERT INTO "automl_events" VALUES(1,46,'ended',7,1,1.79577565435734963416e+09,'{"outcome":"complete","alive_s":6.559}');
INSERT INTO "automl_events" VALUES(1,47,'finished',7,NULL,1.79577565435734963416e+09,'{"state":"COMPLETE","values":[0.1024465227744323],"step":1}');
INSERT INTO "automl_events" VALUES(1,48,'published',3,NULL,1.79577565451410365105e+09,'{"step":1,"values":[4.78007798588248e-05],"error":"trial 3 kept no weights; return a scikit-learn estimator"}');
INSERT INTO "automl_events" VALUES(1,49,'closed',NULL,NULL,1.79577565451873636249e+09,'{"state":"ENDED","reason":"budget.trials","alive_s":6.72}');
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
INSERT INTO "automl_leases" VALUES(1,1,NULL,'host-a','@MACHINE@',18693,33707.72,0,30.0,1.79577564764898872382e+09);
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
INSERT INTO "automl_searches" VALUES(1,'memory',1.79577564761018204685e+09);
CREATE UNIQUE INDEX automl_asked_once ON automl_events (search_id, trial) WHERE kind = 'asked';
CREATE UNIQUE INDEX automl_finished_once ON automl_events (search_id, trial) WHERE kind = 'finished';
CREATE INDEX automl_requests_search ON automl_requests (search_id);
COMMIT;
