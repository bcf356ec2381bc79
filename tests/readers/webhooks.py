"""Checks the requests that an endpoint received, as a receiver would and against docs/.

    webhooks.py docs/webhooks.schema.json docs/webhooks.md REQUESTS.jsonl SECRET...

Every request must be signed with each of the secrets; the standard's own library verifies it. Every
body and every example of the page must match the schema and have no unknown key. Every type of the
schema must have been received and must have an example. Prints the errors and exits 1 if any.
"""

import json
import re
import sys

from jsonschema import Draft202012Validator
from standardwebhooks import Webhook


def strict(schema):
    """Returns the schema with unknown keys refused wherever it lists keys. "data" is listed elsewhere."""
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
            wrong.append(f"the example {kind} has another type")
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
    wrong += [f"{kind} was not received" for kind in types - came]
    for name, body in bodies:
        wrong += [f"{name}: {error.json_path}: {error.message}" for error in validator.iter_errors(body)]
    print("\n".join(wrong))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
