"""Inputs and params of jobs that follow from their wildcards."""


def pair(kind, stem, *names):
    """An array and its table by the names of the inputs."""
    return dict(zip(names, [f"results/{kind}/{stem}.npy", f"results/{kind}/{stem}.csv"]))


def series_tables(wildcards):
    """Lists of the series of a data set that lies in a bucket; they come with the workflow."""
    files = dataset("source")(wildcards).get("series", [])
    return [local(str(Path(workflow.basedir, file))) for file in files]


def fetched(wildcards):
    """Selection of images to fetch from a bucket; None for data sets that come whole."""
    chosen = config["datasets"][wildcards.dataset]
    keys = ("max_images", "split")
    return {key: chosen[key] for key in keys} if "bucket" in chosen["source"] else None


def folder_contents(wildcards):
    """State of the folder that a data set is read from; None if it is downloaded or generated."""
    path = dataset("path")(wildcards)
    return None if path is None else folder_key(path, f"results/raw/{wildcards.dataset}.json")


def weights_contents(wildcards):
    """Digest of the file that a network starts from; None without one."""
    file = define("networks")(wildcards)["weights"]
    return None if file is None else file_key(file)


def learnt_from(wildcards):
    """Training labels of a network: labelled patches, or masks with their index."""
    if network_task(define("networks")(wildcards)) == "classify":
        return {"patches": f"results/data/{wildcards.dataset}/patches.csv"}
    return pair("data", f"{wildcards.dataset}/masks", "truth", "outlines")


def precision_check(wildcards):
    """Check of reduced precision; none for explainers with float32."""
    if define("explainers")(wildcards)["precision"] == "float32":
        return []
    return "results/precision/{dataset}/{network}/{explainer}/seed-{seed}.json".format(**wildcards)


def of_explainer(wildcards):
    """Which images the selected studies explain by the wildcards' network and explainer."""
    return studies.selections(config, *(wildcards[k] for k in ("dataset", "network", "explainer")))


def of_readers(part, *names):
    """Which images those selected studies explain whose metrics read a part."""
    return lambda wildcards: studies.selections(
        studies.reading(config, part), *(wildcards[name] for name in names)
    )


def asked_about(part, *names):
    """Params of a job that asks the network what metrics read: which images, and how."""
    return {
        "selections": of_readers(part, *names),
        "removals": lambda wildcards: studies.read_of_network(
            config, part, *(wildcards[name] for name in names)
        ),
    }


def shards(pattern):
    """Files of all shards of the wildcard's data set, in order."""
    return lambda wildcards: collect(
        pattern,
        **dict(wildcards.items()),
        shard=range(studies.n_shards(config, wildcards.dataset)),
    )


def view_of(wildcards):
    """Definition of the view that the wildcard's segmenter cuts, or whose cut it refines."""
    chosen = define("segmenters")(wildcards)
    cut = config["segmenters"][chosen["of"]] if chosen["of"] else chosen
    return DEFINED["views"][cut["view"]]


def cut_from(wildcards):
    """Inputs of a segmenter of maps besides the images.

    The attributions, the keys that it or its view reads, and the masks that it refines, with the
    settings that they were cut by.
    """
    folder, seed = "{dataset}/{network}".format(**wildcards), f"seed-{wildcards.seed}"
    files = pair("maps", f"{folder}/{wildcards.explainer}/{seed}", "maps", "rows")
    files["targets"] = f"results/targets/{folder}/{seed}.csv"
    segmenter = define("segmenters")(wildcards)
    readers = {"view_keys": ("views", view_of(wildcards)), "token_keys": ("segmenters", segmenter)}
    for name, reader in readers.items():
        for network, size in studies.keys_read(config, wildcards.network, *reader):
            files[name] = f"results/keys/{wildcards.dataset}/{network}/{size}/{seed}.npy"
            files["chosen"] = f"results/targets/{wildcards.dataset}/images.csv"
    if of := segmenter["of"]:
        cell = f"{folder}/{wildcards.explainer}/{of}/{seed}"
        files["coarse"] = f"results/masks/{cell}.npy"
        files["coarse_settings"] = f"results/tuning/{cell}.json"
    return files


def truth_seen(wildcards):
    """True masks, for a segmenter of maps that is an upper bound: it sees them."""
    seen = "truth" in studies.reads(config, wildcards.segmenter)
    return {name: file.format(**wildcards) for name, file in TRUTH.items()} if seen else {}


def trained(wildcards):
    """Files of a network that was trained here; none of one used as published."""
    if not define("networks")(wildcards)["training"]:
        return {}
    return {name: file.format(**wildcards) for name, file in TRAINED.items() if name != "images"}


def asked(wildcards):
    """Files of a network that was trained here, and its predictions if they are explained."""
    files = trained(wildcards)
    reads = about("segmenters", define("segmenters")(wildcards)["method"])["reads"]
    if files and "levels" in reads:
        predictions = "results/predictions/{dataset}/{network}/seed-{seed}.csv"
        files["predictions"] = predictions.format(**wildcards)
    return files


def segment_code(script):
    """Digest of a script, of the wildcard's segmenter and of its view."""
    return lambda wildcards: digest(
        script,
        segmenters=define("segmenters")(wildcards)["method"],
        views=view_of(wildcards)["method"],
    )


def families(kind):
    """Names of the score files of maps or of masks, as a pattern."""
    scores = [study["scores"] for study in STUDIES.values()]
    names = {name for some in scores for name, family in some.items() if family["of"] == kind}
    return "|".join(sorted(names))


def path_of(wildcards):
    """Part between data set and seed in the name of a score file."""
    return wildcards.get("path") or f"{wildcards.network}/{wildcards.explainer}"


def requested(wildcards):
    """Requests of a score file for each target or mask."""
    return studies.requests(config, wildcards.family, wildcards.dataset, path_of(wildcards))


def study_of(wildcards):
    """The study that declares a score file; several such studies agree on the keys read here."""
    cell = (wildcards.family, wildcards.dataset, path_of(wildcards))
    return next(study for study in STUDIES.values() if studies.scores_of(config, study, *cell))


def compared(wildcards):
    """References of maps besides the truth: a segmentation, a planted marker."""
    files = {}
    if of := study_of(wildcards)["segmentation"]:
        path = studies.mask_path(config, of, wildcards.network, wildcards.explainer)
        stem = f"{wildcards.dataset}/{path}/seed-{wildcards.seed}"
        files = pair("masks", stem, "segmentation", "segmentation_rows")
    if any(request["reference"] == "marker" for request in requested(wildcards)):
        files["markers"] = f"results/data/{wildcards.dataset}/markers.npy"
    read = {part for request in requested(wildcards) for part in parts_read(request)}
    own = f"{wildcards.dataset}/{wildcards.network}"
    stem = f"{own}/{wildcards.explainer}/seed-{wildcards.seed}"
    if "curves" in read:
        files |= pair("curves", stem, "curves", "curve_rows")
    if "disturbed" in read:
        files |= pair("disturbed", stem, "disturbed", "disturbed_rows")
    if "responses" in read:
        files |= pair("responses", f"{own}/seed-{wildcards.seed}", "falls", "fall_rows")
    if "other_seeds" in read:
        others = [seed for seed in config["seeds"] if str(seed) != wildcards.seed]
        stems = [f"{own}/{wildcards.explainer}/seed-{seed}" for seed in others]
        files["other_maps"] = [f"results/maps/{stem}.npy" for stem in stems]
        files["other_rows"] = [f"results/maps/{stem}.csv" for stem in stems]
    return files


def read_for_scores(part, *names):
    """What the network was asked for a score file that reads it; nothing for other files."""

    def of_job(wildcards):
        read = {name for request in requested(wildcards) for name in parts_read(request)}
        own = (wildcards[name] for name in names)
        return studies.read_of_network(config, part, *own) if part in read else []

    return of_job


def parts_read(request):
    """What the metric of a request reads."""
    return about("metrics", request["metric"]["method"])["reads"]


def scope_of(wildcards):
    """Whether the study's segmentation is of all findings of an image or of one class."""
    of = study_of(wildcards)["segmentation"]
    own = of and config["segmenters"][of]["network"]
    return config["networks"][own].get("scope", "union") if own else "union"


def labels_of(wildcards):
    """Labels of a family of scores; None for all."""
    if study_of(wildcards)["scores"][wildcards.family]["needs"] != "shortcut":
        return None
    return [dataset("source")(wildcards)["shortcut"]["class"]]


def masks_compared(wildcards):
    """Inputs of scores of masks besides the truth: their targets, single objects."""
    files, names = {}, studies.keys(config, wildcards.path)
    if names["explainer"]:
        cell = f"{wildcards.dataset}/{names['network']}/seed-{wildcards.seed}"
        files["targets"] = f"results/targets/{cell}.csv"
    if any(request["reference"] == "instances" for request in requested(wildcards)):
        files |= pair("data", f"{wildcards.dataset}/instances", "instances", "instance_facts")
    return files


def score_code(script):
    """Digest of a script and of the metrics, views and segmenters of a score file."""

    def of_job(wildcards):
        chosen = requested(wildcards)
        damaged = [request["segmenter_definition"] for request in chosen if request["segmenter"]]
        return digest(
            script,
            metrics=[request["metric"]["method"] for request in chosen],
            views=[request["view"]["method"] for request in chosen if request["view"]],
            # The job itself makes only damaged true masks.
            segmenters=[
                made["method"]
                for made in damaged
                if about("segmenters", made["method"])["reads"] == ["truth"]
            ],
        )

    return of_job


def study_with(wildcards):
    """The study that declares a figure or a table."""
    known = FIGURES if "figure" in wildcards.keys() else {**TABLES, **GUIDELINES}
    made = known[wildcards.get("figure") or wildcards.table]
    return STUDIES[made["study"]]


def unbraced(text):
    """Text for Snakemake's report, to which braces are wildcards: no width parts them from it."""
    return text.replace("{", "{\u200b")


def printed(kind, caption):
    """How Snakemake's own report shows a table, its tests or a figure, each under its study."""

    def labels(wildcards):
        if kind == "Figures":
            text = Path(workflow.basedir, f"report/{caption}.rst").read_text(encoding="utf-8")
            title = " ".join(text.split()).partition(". ")[0]
            return {"figure": title, "name": wildcards.figure}
        made = {**TABLES, **GUIDELINES}[wildcards.table]
        number = f"Table {made['number']}: " if made["number"] else ""
        none = " (none declared)" if kind == "Tests" and not made["tests"] else ""
        return {"table": unbraced(number + made["title"]) + none, "name": wildcards.table}

    return {
        "caption": f"../report/{caption}.rst",
        "category": lambda wildcards: unbraced(study_with(wildcards)["title"]),
        "subcategory": kind,
        "labels": labels,
    }


def drawn(kind):
    """Files of a figure of a kind; none matches the pattern if no study declares such a figure."""
    names = "|".join(name for name, spec in FIGURES.items() if spec["kind"] == kind) or "none^"
    stem = f"results/figures/{{figure,{names}}}"
    return {"png": report(f"{stem}.png", **printed("Figures", kind)), "pdf": f"{stem}.pdf"}


def of_job(make):
    """Result of a function of the configuration and the wildcards, in their order."""
    return lambda wildcards: make(config, *wildcards)


def params_of(facts, *names):
    """Some facts about a table, a figure or examples, as params by their names."""
    once = cache(lambda *wildcards: facts(config, *wildcards))
    return {name: lambda wildcards, name=name: once(*wildcards)[name] for name in names}


# Patterns of the files that a bundle holds of the checkout.
SOURCES = ["Snakefile", "Makefile", "README.md", "LICENSE", "CITATION.cff", "requirements.*"]
SOURCES += ["envs/*", "report/*", "rules/*", "scripts/*"]
SOURCES += ["config/**/*", "profiles/**/*", "segxai/**/*"]


def sources(_):
    """Files of the checkout that a run reads."""
    files = [local(str(p)) for n in SOURCES for p in sorted(Path(workflow.basedir).glob(n))]
    return [file for file in files if Path(file).is_file() and "__pycache__" not in file]


def steps(_):
    """Script, meaning, and patterns of benchmark and outputs of every other rule that has jobs."""
    return {
        made.name: {
            "script": f"scripts/{Path(made.script).name}",
            "about": made.docstring.splitlines()[0],
            "benchmark": str(made.benchmark),
            "output": list(map(str, made.output)),
        }
        for made in workflow.rules
        if made.script and made.name != "bundle"
    }
