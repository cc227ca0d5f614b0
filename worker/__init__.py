"""The room where recordings become faces: the queue's worker, training, and the models in `worker.ml`."""
