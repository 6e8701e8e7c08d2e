"""The description of the API: whole, true to what refusals are, and shown without asking anybody else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
import yaml

from api.pages import static_files
from api.pages.openapi import SCHEMA_POLICY, TAGS, published
from tests.api.html_pages import check_manners, led_to, loaded, parse
from tests.api.registry import BASE_URL, Registry

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def described(registry: Registry) -> dict[str, Any]:
    found: dict[str, Any] = registry.client.get("/schema/openapi.json").json()
    return found


def operations(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in described["paths"].items():
        for method, operation in item.items():
            yield f"{method} {path}", operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "$ref":
                yield item
            else:
                yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


# What is described.


def test_it_says_what_this_is_and_where(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1.")
    info = described["info"]
    assert info["title"] == "Pith Ledger" and info["version"]
    assert info["license"] == {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    assert described["servers"] == [{"url": BASE_URL}]
    for step in ("### Read", "### Register a key", "### Sign", "### Submit", "### Verify", "### Refusals"):
        assert step in info["description"]
    assert f"{BASE_URL}/api/events" in info["description"] and "BASE_URL" not in info["description"]


def test_the_tour_names_only_addresses_that_there_are(described: dict[str, Any]) -> None:
    paths = [re.sub(r"\{\w+\}", "{}", path) for path in described["paths"]]
    tour = described["info"]["description"].replace(BASE_URL, "").replace("SUFFIX", "{suffix}")
    named = set(re.findall(r"(?<![\w.])/(?:pith|api|checkpoint|tile)[\w/{}.-]*", tour))
    assert len(named) >= 7
    for address in named:
        wanted = re.sub(r"\{\w+\}", "{}", address).removesuffix(".json")
        assert any(path.startswith(wanted) for path in paths), address


def test_every_operation_is_described(described: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(described)]
    assert len(ids) == len(set(ids))
    lacking = {
        name: missing
        for name, operation in operations(described)
        if (missing := [part for part in ("summary", "description", "tags") if not operation.get(part)])
    }
    assert not lacking
    for name, operation in operations(described):
        assert set(operation["tags"]) <= TAGS.keys(), name
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (name, parameter["name"])
        for status, answer in operation["responses"].items():
            assert answer["description"], (name, status)


def test_every_tag_is_described_and_used(described: dict[str, Any]) -> None:
    assert {tag["name"] for tag in described["tags"]} == TAGS.keys()
    assert {tag for _, operation in operations(described) for tag in operation.get("tags", ())} == TAGS.keys()


def test_only_what_is_asked_for_by_its_own_name_is_described(described: dict[str, Any]) -> None:
    for path, item in described["paths"].items():
        assert item and item.keys() <= METHODS, path
        assert not path.startswith(("/static", "/schema/")), path


def test_every_refusal_is_a_problem_document(described: dict[str, Any]) -> None:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    for name, operation in operations(described):
        refusals = {status: answer for status, answer in operation["responses"].items() if status >= "4"}
        assert "default" in refusals
        assert all(answer["content"] == problem for answer in refusals.values()), name


def test_a_refusal_is_as_described(registry: Registry, described: dict[str, Any]) -> None:
    schema = described["components"]["schemas"]["ProblemDetails"]
    found = registry.client.get("/pith/AAAAAAAAAAAAAAAAAAAAAAAAAA.json").json()
    assert set(schema["required"]) <= found.keys() <= schema["properties"].keys()


def test_everything_referred_to_is_there_and_nothing_else(described: dict[str, Any]) -> None:
    referred = set(references(described["paths"])) | set(references(described["components"]))
    assert referred == {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}


def test_what_the_framework_gathers_is_put_right() -> None:
    framework = {"description": "Validation", "content": {"application/json": {"schema": {"$ref": "#/x"}}}}
    fine = {"description": "Fine", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}
    several = {"description": "Which?", "content": {"application/problem+json": {"schema": {}}}}
    operation = {"responses": {"200": fine, "300": several, "400": framework}}
    schemas = {"A": {"items": {"$ref": "#/components/schemas/B"}}, "B": {"type": "null"}, "C": {}}
    gathered = {
        "paths": {"/a": {"get": operation, "head": operation, "options": operation}, "/b": {"options": operation}},
        "components": {"schemas": schemas, "securitySchemes": {"s": {}}},
    }
    found = published(gathered)
    assert found["paths"].keys() == {"/a"} and found["paths"]["/a"].keys() == {"get"}
    responses = found["paths"]["/a"]["get"]["responses"]
    assert responses["200"] == fine
    assert responses["300"]["description"] == "Which?"
    assert responses["300"]["content"] == responses["400"]["content"] == responses["default"]["content"]
    assert list(responses["400"]["content"]) == ["application/problem+json"]
    assert found["components"]["schemas"].keys() == {"A", "B", "ProblemDetails"}
    assert found["components"]["securitySchemes"] == {"s": {}}
    assert gathered["paths"].keys() == {"/a", "/b"}, "what was gathered is left as it was"


def test_yaml_says_the_same(registry: Registry, described: dict[str, Any]) -> None:
    answer = registry.client.get("/schema/openapi.yaml")
    assert answer.headers["content-type"] == "application/yaml"
    assert yaml.safe_load(answer.text) == described
    assert "&id" not in answer.text


# How it is served.


@pytest.mark.parametrize("path", ["/schema", "/schema/openapi.json", "/schema/openapi.yaml"])
def test_it_is_cached_and_asked_for_like_everything_else(registry: Registry, path: str) -> None:
    headers = {"accept-encoding": "identity"}
    got = registry.client.get(path, headers=headers)
    assert got.status_code == 200 and got.headers["cache-control"] == "public, max-age=5"
    assert got.headers["etag"] == f'"{hashlib.sha256(got.content).hexdigest()}"'
    headed = registry.client.head(path, headers=headers)
    assert (headed.status_code, headed.content, headed.headers["etag"]) == (200, b"", got.headers["etag"])
    known = registry.client.get(path, headers={**headers, "if-none-match": got.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/schema/redoc",
        "/schema/swagger",
        "/schema/elements",
        "/schema/rapidoc",
        "/schema/scalar",
        "/schema/oauth2-redirect.html",
        "/schema/openapi.yml",
        "/schema/openapi",
        "/schema/schema",
        "/schema/openapi.json/x",
        "/docs",
    ],
)
def test_no_page_of_the_framework_is_served(registry: Registry, path: str) -> None:
    answer = registry.client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_it_is_only_read(registry: Registry, method: str) -> None:
    answer = registry.client.request(method, "/schema")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


# The page.


def test_the_page_runs_only_our_files_and_asks_only_us(registry: Registry) -> None:
    answer = registry.client.get("/schema")
    assert answer.headers["content-security-policy"] == SCHEMA_POLICY
    policy = dict(part.strip().split(" ", 1) for part in SCHEMA_POLICY.split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    page = parse(answer.content)
    check_manners(page)
    assert [script.children for script in page.all("script")] == [[], []]
    addresses = [*loaded(page), *led_to(page), page.one("div", id="api").attributes["data-description"]]
    assert static_files.address("swagger-ui/swagger-ui-bundle.js") in addresses
    for address in addresses:
        assert address.startswith("/") and not address.startswith("//")
        assert registry.client.get(address).status_code == 200, address


def test_without_scripts_the_page_leads_to_the_description(registry: Registry) -> None:
    (fallback,) = parse(registry.client.get("/schema").content).all("noscript")
    assert led_to(fallback) == ["/schema/openapi.json", "/schema/openapi.yaml"]


def test_our_script_asks_nobody_but_the_page() -> None:
    script = static_files.FILES["schema.js"].decode()
    assert "//" not in re.sub(r"^\s*//.*$", "", script, flags=re.MULTILINE)
    assert "validatorUrl: null" in script and "queryConfigEnabled: false" in script


def test_the_style_of_swagger_ui_loads_nothing() -> None:
    style = static_files.FILES["swagger-ui/swagger-ui.css"].decode()
    assert "@import" not in style and "@font-face" not in style
    loads = re.findall(r"url\(\s*[\"']?([^\"')]{0,12})", style)
    assert loads and all(load.startswith("data:") for load in loads)


def test_swagger_ui_is_what_its_note_says() -> None:
    folder = files("api.pages") / "static" / "swagger-ui"
    note = (folder / "NOTE.md").read_text("utf-8")
    stated = dict(re.findall(r"^\| `([^`]+)` \| `([0-9a-f]{64})` \|$", note, flags=re.MULTILINE))
    there = {entry.name: hashlib.sha256(entry.read_bytes()).hexdigest() for entry in folder.iterdir()}
    del there["NOTE.md"]
    assert stated == there
    assert "Apache License" in (folder / "LICENSE").read_text("utf-8")
