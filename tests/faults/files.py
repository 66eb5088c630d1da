"""The searches that are killed about, as files."""

WALK = """\
name: {name}
seed: {seed}
objective: {{metric: loss, direction: minimize}}
trainer: {{framework: function, model: "trainers.chaos:walk"}}
space:
  model.x: {{float: [0.0, 1.0]}}
  model.label: {{choice: [red, green, blue]}}
  model.steps: {steps}
  model.pause: {pause}
  model.every: {every}
budget: {{trials: {trials}}}
search: {{sampler: {sampler}, pruner: {pruner}}}
resources: {{cpus: 0.5, parallel: {parallel}}}
retries: 100
ledger: {ledger}
tracking: {tracking}
"""

# Epochs of a third of a second: long enough to be cut, and a checkpoint is due after two seconds.
NETS = """\
name: {name}
seed: {seed}
objective: {{metric: val_loss, direction: minimize}}
trainers:
  torch:
    framework: lightning
    model: trainers.chaos_lightning:TinyNet
    data: trainers.chaos_lightning:TinyData
    fit: {{max_epochs: {steps}}}
  keras:
    framework: keras
    model: trainers.tiny_keras:net
    data: trainers.chaos_keras:data
    fit: {{epochs: {steps}, verbose: 0}}
space:
  model.lr: {{float: [1e-3, 1e-1], log: true}}
  model.dropout: {{float: [0.0, 0.5]}}
  model.sleep_s: {{choice: [{pause}], when: {{trainer: torch}}}}
  data.sleep_s: {{choice: [{pause}], when: {{trainer: keras}}}}
budget: {{trials: {trials}}}
search: {{sampler: random, pruner: none}}
resources: {{cpus: 0.5, parallel: 2}}
retries: 100
ledger: {ledger}
tracking: {tracking}
"""
