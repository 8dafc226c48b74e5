"""Processes: the supervisor, what it starts, and the search for a model to call.

lifeline      a child that dies with its parent, however the parent ends
process       one supervised process: start, readiness, restart with back-off, stop
home          the folder of an installation: lock, port, what runs
supervisor    gateway workers, console, local model and sealing, as one thing that starts and stops
local_model   a small real model on this machine: a token source
find_model    which model a first call goes to, and at what price
first_call    one chat call through the gateway, with its row
"""
