"""What stands around detection: health, the models."""

from pictures import blank


def test_health(server):
    assert server.get("/health/live").status == 200
    assert server.get("/health/ready").status == 200


def test_models_lists_what_is_loaded_and_each_has_a_page(server):
    models = server.get("/v1/models").json()["models"]
    assert models
    for model in models:
        page = server.get("/v1/models/" + model["name"]).json()
        assert page["name"] == model["name"] and page["family"]
        assert "cat" in page["labels"] if isinstance(page["labels"][0], str) else True


def test_default_model_is_one_of_the_listed(server):
    used = server.detect(blank(32, 32)).json()["model"]
    assert used in [model["name"] for model in server.get("/v1/models").json()["models"]]


def test_health_and_metrics_are_not_cached(server):
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert server.get(path).headers.get("Cache-Control") == "no-store", path
