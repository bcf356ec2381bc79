"""Checks what came to an endpoint as a receiver would, and as docs/ says.

    webhooks.py docs/webhooks.schema.json docs/webhooks.md REQUESTS.jsonl SECRET...

Every request must be signed with each of the secrets, by the standard's own library; every body,
and every example of the page, must be valid by the schema, with no key that it doesn't know; every
type of the schema must have come, and have an example. Prints what is wrong, and exits 1 then.
"""

import json
import re
import sys

from jsonschema import Draft202012Validator
from standardwebhooks import Webhook


def strict(schema):
    """The schema, with unknown keys refused wherever it lists keys; "data" is listed elsewhere."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: strict(part) for name, part in schema.items()}
    if schema.get("required") and "properties" in schema:
        closed["additionalProperties"] = False
    return closed


def main():
    schema_path, page_path, requests_path, *secrets = sys.argv[1:]
    schema = json.load(open(schema_path, encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(strict(schema))
    types = set(schema["properties"]["type"]["enum"])
    examples = re.findall(r"^### (\S+)\n.*?^```json\n(.*?)^```", open(page_path, encoding="utf-8").read(), re.M | re.S)
    wrong = [f"no example of {kind}" for kind in types - {kind for kind, _ in examples}]
    bodies = []
    for kind, text in examples:
        bodies.append((f"the example {kind}", json.loads(text)))
        if bodies[-1][1]["type"] != kind:
            wrong.append(f"the example {kind} is of another type")
    came = set()
    for line in open(requests_path, encoding="utf-8"):
        request = json.loads(line)
        for n, secret in enumerate(secrets):
            try:
                Webhook(secret).verify(request["body"], request["headers"])
            except Exception as error:
                wrong.append(f"{request['headers']} by secret {n}: {error!r}")
        bodies.append((request["body"], json.loads(request["body"])))
        came.add(bodies[-1][1]["type"])
    wrong += [f"{kind} did not come" for kind in types - came]
    for name, body in bodies:
        wrong += [f"{name}: {error.json_path}: {error.message}" for error in validator.iter_errors(body)]
    print("\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
