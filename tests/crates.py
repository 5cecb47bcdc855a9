"""The validator of RO-Crates, without a network."""

from pathlib import Path

import requests
import rocrate
from rocrate_validator import services
from rocrate_validator.models import Severity
from rocrate_validator.utils.http import HttpRequester


def issues(path: Path, monkeypatch, severity: Severity = Severity.REQUIRED) -> list[str]:
    """Requirements of a Provenance Run Crate that an archive misses, by the validator's profiles.

    It requests only the meaning of JSON-LD's terms from the web, and receives the file of
    terms that comes with rocrate: version 1.3, which moved those of Bioschemas since 1.1.
    """
    terms = Path(rocrate.__file__).with_name("data") / "ro-crate.jsonld"
    answer = requests.Response()
    answer.status_code, answer.headers["Content-Type"] = 200, "application/ld+json"
    answer._content = terms.read_bytes().replace(b"bioschemas.org/terms/", b"bioschemas.org/")
    monkeypatch.setattr(HttpRequester, "get", lambda *_, **__: answer, raising=False)
    settings = services.ValidationSettings(
        rocrate_uri=str(path),
        profile_identifier="provenance-run-crate",
        requirement_severity=severity,
        skip_availability_check=True,
    )
    return [str(issue.message) for issue in services.validate(settings).get_issues()]
