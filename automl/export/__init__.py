"""The winner's weights as an artefact that others can load. One file per target."""
