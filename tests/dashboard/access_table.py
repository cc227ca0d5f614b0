"""Who reaches what: the status that everybody gets from every route, with nothing wrong but who they are.

The askers are those of `world.ASKERS`: a stranger, five people, and the admin by a token of the scope `read` and by
one of the scope `submit`. What a path names is ada's, the owner's; a schedule, a model or a worker is nobody's. A word
after a path tells which body of `access_bodies.py` is sent. A submitter is not told what others have (404); who sees
a thing but may not change it is told so (403).
"""

from __future__ import annotations

API = """
                                                        nobody  viewer  other  owner  operator  admin  reads  submits
PUT    /api/v1/account/password                          401     204     204    204     204      204    403     403
POST   /api/v1/account/sessions/end                      401     204     204    204     204      204    403     204
GET    /api/v1/aliases                                   401     200     200    200     200      200    200     200
GET    /api/v1/aliases/{alias}/moves                     401     200     200    200     200      200    200     200
POST   /api/v1/aliases/{alias}/rollback                  401     403     403    403     200      200    403     403
POST   /api/v1/analyses                                  401     403     403    403     201      201    403     403
POST   /api/v1/archives                                  401     403     201    201     201      201    403     201
GET    /api/v1/audit                                     401     403     403    403     200      200    403     403
GET    /api/v1/collections                               401     200     200    200     200      200    200     200
GET    /api/v1/collections/{collection}                  401     200     404    200     200      200    200     200
PUT    /api/v1/collections/{collection}                  401     403     400    200     200      200    403     400
PUT    /api/v1/collections/{new}                         401     403     200    200     200      200    403     200
POST   /api/v1/collections/{collection}/files            401     403     400    200     200      200    403     400
POST   /api/v1/collections/{new}/files                   401     403     200    200     200      200    403     200
GET    /api/v1/datasets                                  401     200     200    200     200      200    200     200
POST   /api/v1/datasets                                  401     403     201    201     201      201    403     201
GET    /api/v1/datasets/{dataset}                        401     200     404    200     200      200    200     200
GET    /api/v1/datasets/{dataset}/files/dataset.json     401     200     404    200     200      200    200     200
GET    /api/v1/estimate                                  401     200     200    200     200      200    200     200
POST   /api/v1/evaluations                               401     403     403    403     201      201    403     403
GET    /api/v1/events                                    401     200     200    200     200      200    200     200
GET    /api/v1/health                                    401     403     403    403     200      200    403     403
GET    /api/v1/jobs                                      401     200     200    200     200      200    200     200
POST   /api/v1/jobs                                      401     403     201    201     201      201    403     201
POST   /api/v1/jobs first                                401     403     403    403     201      201    403     403
GET    /api/v1/jobs/{job}                                401     200     404    200     200      200    200     200
POST   /api/v1/jobs/{program}/again                      401     403     404    403     201      201    403     403
GET    /api/v1/jobs/{job}/comparison                     401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/comparison/{queued}            401     200     404    200     200      200    200     200
POST   /api/v1/jobs/{queued}/cancel                      401     403     404    200     200      200    403     403
GET    /api/v1/jobs/{job}/contact-sheet.pdf              401     200     404    200     200      200    200     200
POST   /api/v1/jobs/{job}/contact-sheet.pdf              401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/contact-sheet.png              401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{program}/curves                     401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/errors.jsonl                   401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/events                         401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/faces.zip                      401     200     404    200     200      200    200     200
POST   /api/v1/jobs/{job}/faces.zip                      401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{program}/files                      401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{program}/files.zip                  401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{program}/files/{left}               401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/items                          401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/items/anchors                  401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/items/ids                      401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/items/{item}                   401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/items/{item}/face.png          401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/items/{item}/landmarks         401     200     404    200     200      200    200     200
POST   /api/v1/jobs/{job}/items/{item}/link              401     200     404    200     200      200    403     200
PUT    /api/v1/jobs/{job}/items/{item}/mark              401     403     404    200     200      200    403     403
GET    /api/v1/jobs/{job}/items/{item}/recording         401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/items/{item}/spectrogram.png   401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/items/{item}/thumbnail.webp    401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{program}/log                        401     200     404    200     200      200    200     200
PUT    /api/v1/jobs/{job}/marks                          401     403     404    200     200      200    403     403
POST   /api/v1/jobs/{queued}/pause                       401     403     404    200     200      200    403     403
POST   /api/v1/jobs/{queued}/priority                    401     403     404    200     200      200    403     403
POST   /api/v1/jobs/{queued}/priority first              401     403     403    403     200      200    403     403
POST   /api/v1/jobs/{job}/rerun                          401     403     404    201     201      201    403     201
POST   /api/v1/jobs/{job}/rerun dry                      401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/results.csv                    401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/results.jsonl                  401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/results.parquet                401     200     404    200     200      200    200     200
POST   /api/v1/jobs/{paused}/resume                      401     403     404    200     200      200    403     403
POST   /api/v1/jobs/{failed}/retry                       401     403     404    200     200      200    403     403
POST   /api/v1/jobs/steer                                401     403     404    200     200      200    403     403
GET    /api/v1/jobs/{job}/throughput                     401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/timeline                       401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{program}/training                   401     200     404    200     200      200    200     200
GET    /api/v1/jobs/{job}/webhook                        401     200     404    200     200      200    200     200
POST   /api/v1/manifests/check                           401     200     200    200     200      200    200     200
GET    /api/v1/me                                        401     200     200    200     200      200    200     200
GET    /api/v1/me/quota                                  401     200     200    200     200      200    200     200
GET    /api/v1/models                                    401     200     200    200     200      200    200     200
POST   /api/v1/models                                    401     403     403    403     201      201    403     403
PUT    /api/v1/models/files                              401     403     403    403     201      201    403     403
POST   /api/v1/models/pairs                              401     403     403    403     201      201    403     403
DELETE /api/v1/models/{model}                            401     403     403    403     200      200    403     403
GET    /api/v1/models/{model}                            401     200     200    200     200      200    200     200
GET    /api/v1/models/{model}/comparison/default@1       401     200     200    200     200      200    200     200
GET    /api/v1/models/{model}/evaluations                401     200     200    200     200      200    200     200
GET    /api/v1/models/{model}/export                     401     200     200    200     200      200    200     200
GET    /api/v1/models/{model}/files/config.json          401     200     200    200     200      200    200     200
GET    /api/v1/models/{model}/lineage                    401     200     200    200     200      200    200     200
POST   /api/v1/models/{model}/promote                    401     403     403    403     200      200    403     403
GET    /api/v1/queues                                    401     200     403    403     200      200    200     200
PUT    /api/v1/recordings                                401     403     201    201     201      201    403     201
POST   /api/v1/recordings/check                          401     200     200    200     200      200    200     200
GET    /api/v1/recordings/{recording}                    401     404     404    200     404      404    404     404
GET    /api/v1/schedules                                 401     200     200    200     200      200    200     200
POST   /api/v1/schedules                                 401     403     403    403     201      201    403     403
POST   /api/v1/schedules/preview                         401     200     200    200     200      200    200     200
DELETE /api/v1/schedules/{schedule}                      401     403     403    403     200      200    403     403
GET    /api/v1/schedules/{schedule}                      401     200     200    200     200      200    200     200
PATCH  /api/v1/schedules/{schedule}                      401     403     403    403     200      200    403     403
POST   /api/v1/schedules/{schedule}/pause                401     403     403    403     200      200    403     403
POST   /api/v1/schedules/{still}/resume                  401     403     403    403     200      200    403     403
POST   /api/v1/schedules/{schedule}/run                  401     403     403    403     201      201    403     403
GET    /api/v1/schedules/{run_of}/runs/{run}             401     200     200    200     200      200    200     200
POST   /api/v1/schedules/{run_of}/runs/{run}/cancel      401     403     403    403     200      200    403     403
POST   /api/v1/schedules/{schedule}/secret               401     403     403    403     200      200    403     403
POST   /api/v1/erasure                                   401     200     200    200     200      200    200     200
POST   /api/v1/erasure other                             401     403     403    403     403      200    403     403
POST   /api/v1/erasure own                               401     403     400    400     400      400    403     400
GET    /api/v1/retention                                 401     403     403    403     200      200    403     403
PUT    /api/v1/retention/faces                           401     403     403    403     403      200    403     403
DELETE /api/v1/retention/{rule}                          401     403     403    403     403      204    403     403
GET    /api/v1/retention/preview                         401     403     403    403     200      200    403     403
POST   /api/v1/retention/purge                           401     403     403    403     403      200    403     403
POST   /api/v1/sources/s3                                401     403     200    200     200      200    403     200
POST   /api/v1/sources/s3/check                          401     403     200    200     200      200    403     200
GET    /api/v1/storage                                   401     403     403    403     200      200    403     403
GET    /api/v1/tokens                                    401     200     200    200     200      200    200     200
POST   /api/v1/tokens                                    401     201     201    201     201      201    403     201
POST   /api/v1/tokens more                               401     403     403    403     201      201    403     403
DELETE /api/v1/tokens/{token}                            401     404     404    200     404      404    403     404
POST   /api/v1/trainings                                 401     403     403    403     201      201    403     403
POST   /api/v1/trainings/check                           401     200     200    200     200      200    200     200
GET    /api/v1/trainings/presets                         401     200     200    200     200      200    200     200
POST   /api/v1/uploads                                   401     403     201    201     201      201    403     201
DELETE /api/v1/uploads/{upload}                          401     403     404    200     404      404    403     404
GET    /api/v1/uploads/{upload}                          401     404     404    200     404      404    404     404
POST   /api/v1/uploads/{sent}/complete                   401     403     404    200     404      404    403     404
POST   /api/v1/uploads/{upload}/links                    401     403     404    200     404      404    403     404
PUT    /api/v1/uploads/{upload}/parts/1                  401     403     404    200     404      404    403     404
POST   /api/v1/uploads/{zip}/unpack                      401     403     404    200     404      404    403     404
GET    /api/v1/users                                     401     403     403    403     403      200    403     403
POST   /api/v1/users                                     401     403     403    403     403      201    403     403
GET    /api/v1/users/{user}                              401     403     403    403     403      200    403     403
PATCH  /api/v1/users/{user}                              401     403     403    403     403      200    403     403
GET    /api/v1/users/{user}/quota                        401     403     403    403     403      200    403     403
PUT    /api/v1/users/{user}/quota                        401     403     403    403     403      200    403     403
POST   /api/v1/users/{user}/link                         401     403     403    403     403      201    403     403
GET    /api/v1/workers                                   401     200     403    403     200      200    200     200
POST   /api/v1/workers/{worker}/drain                    401     403     403    403     200      200    403     403
POST   /api/v1/workers/{drained}/undrain                 401     403     403    403     200      200    403     403
"""

PAGES = """
                                                        nobody  viewer  other  owner  operator  admin  reads  submits
GET    /account                                          303     200     200    200     200      200    200     200
POST   /account/password                                 303     303     303    303     303      303    403     400
POST   /account/sessions/end                             303     303     303    303     303      303    403     303
POST   /account/tokens                                   303     200     200    200     200      200    403     200
POST   /account/tokens/{token}/revoke                    303     404     404    303     404      404    403     404
GET    /people                                           303     403     403    403     403      200    403     403
POST   /people                                           303     403     403    403     403      200    403     403
GET    /people/{user}/limits                             303     403     403    403     403      200    403     403
POST   /people/{user}/limits                             303     403     403    403     403      303    403     403
POST   /people/{user}/link                               303     403     403    403     403      200    403     403
POST   /people/{user}/role                               303     403     403    403     403      303    403     403
POST   /people/{user}/disable                            303     403     403    403     403      303    403     403
POST   /people/{user}/enable                             303     403     403    403     403      303    403     403
GET    /audit                                            303     403     403    403     200      200    403     403
GET    /models                                           303     200     200    200     200      200    200     200
GET    /models/compare                                   303     200     200    200     200      200    200     200
GET    /models/{model}                                   303     200     200    200     200      200    200     200
GET    /models/{model}/delete                            303     403     403    403     200      200    403     403
POST   /models/{model}/delete                            303     403     403    403     303      303    403     403
POST   /models/{model}/promote                           303     403     403    403     303      303    403     403
POST   /aliases/{alias}/rollback                         303     403     403    403     303      303    403     403
GET    /                                                 303     302     302    302     302      302    302     302
GET    /jobs                                             303     200     200    200     200      200    200     200
GET    /jobs/rows                                        303     200     200    200     200      200    200     200
GET    /new                                              303     403     200    200     200      200    403     200
GET    /jobs/{job}                                       303     200     404    200     200      200    200     200
GET    /jobs/{job}/compare                               303     200     404    200     200      200    200     200
GET    /jobs/{job}/compare/{queued}                      303     200     404    200     200      200    200     200
GET    /jobs/{job}/compare/{queued}/rows                 303     200     404    200     200      200    200     200
POST   /jobs/steer                                       303     403     200    200     200      200    403     200
GET    /jobs/{job}/summary                               303     200     404    200     200      200    200     200
GET    /jobs/{job}/tiles                                 303     200     404    200     200      200    200     200
POST   /jobs/{queued}/cancel                             303     403     404    303     303      303    403     403
POST   /jobs/{queued}/pause                              303     403     404    303     303      303    403     403
POST   /jobs/{paused}/resume                             303     403     404    303     303      303    403     403
POST   /jobs/{failed}/retry                              303     403     404    303     303      303    403     403
POST   /jobs/{queued}/priority                           303     403     404    403     303      303    403     403
POST   /jobs/{program}/again                             303     403     404    403     303      303    403     403
POST   /jobs/{job}/rerun                                 303     403     404    303     303      303    403     303
GET    /datasets                                         303     200     200    200     200      200    200     200
GET    /datasets/new                                     303     403     200    200     200      200    403     200
GET    /datasets/{dataset}                               303     200     404    200     200      200    200     200
GET    /schedules                                        303     200     200    200     200      200    200     200
GET    /schedules/rows                                   303     200     200    200     200      200    200     200
GET    /schedules/new                                    303     403     403    403     200      200    403     403
GET    /schedules/{schedule}                             303     200     200    200     200      200    200     200
GET    /schedules/{schedule}/runs                        303     200     200    200     200      200    200     200
GET    /schedules/{schedule}/edit                        303     403     403    403     200      200    403     403
POST   /schedules/{schedule}/pause                       303     403     403    403     303      303    403     403
POST   /schedules/{still}/resume                         303     403     403    403     303      303    403     403
POST   /schedules/{schedule}/run                         303     403     403    403     303      303    403     403
POST   /schedules/{schedule}/remove                      303     403     403    403     303      303    403     403
POST   /schedules/{run_of}/runs/{run}/cancel             303     403     403    403     303      303    403     403
GET    /trainings                                        303     200     200    200     200      200    200     200
GET    /trainings/rows                                   303     200     200    200     200      200    200     200
GET    /trainings/new                                    303     403     403    403     200      200    403     403
GET    /trainings/new/settings                           303     403     403    403     200      200    403     403
GET    /evaluations                                      303     200     200    200     200      200    200     200
GET    /evaluations/new                                  303     403     403    403     200      200    403     403
GET    /analyses                                         303     200     200    200     200      200    200     200
GET    /analyses/new                                     303     403     403    403     200      200    403     403
GET    /evaluations/{evaluation}                         303     200     404    200     200      200    200     200
GET    /metrics                                          401     200     403    403     200      200    200     200
GET    /workers                                          303     200     403    403     200      200    200     200
GET    /workers/rows                                     303     200     403    403     200      200    200     200
POST   /workers/{worker}/drain                           303     403     403    403     303      303    403     403
POST   /workers/{drained}/undrain                        303     403     403    403     303      303    403     403
GET    /queues                                           303     200     403    403     200      200    200     200
GET    /queues/rows                                      303     200     403    403     200      200    200     200
GET    /storage                                          303     403     403    403     200      200    403     403
GET    /retention                                        303     403     403    403     200      200    403     403
POST   /retention                                        303     403     403    403     403      303    403     403
POST   /retention/remove                                 303     403     403    403     403      303    403     403
POST   /retention/purge                                  303     403     403    403     403      200    403     403
GET    /erasure                                          303     200     200    200     200      200    200     200
POST   /erasure                                          303     403     400    400     400      400    403     400
GET    /health                                           303     403     403    403     200      200    403     403
POST   /jobs/{job}/chosen/contact-sheet.pdf              303     200     404    200     200      200    403     200
POST   /jobs/{job}/chosen/faces.zip                      303     200     404    200     200      200    403     200
"""
