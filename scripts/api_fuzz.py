"""What schemathesis must not do to a ring: wait at a watch, which goes on until its reader leaves; and send away the very
nodes that answer it, whose names it reads in the ring's status."""

import schemathesis


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.query:
        case.query.pop("watch", None)
    if case.path == "/v1/nodes/{name}" and str(case.path_parameters.get("name", "")).startswith("ring-"):
        case.path_parameters["name"] = "another-node"
