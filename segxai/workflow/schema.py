"""Schema of the configuration, except for the settings of methods.

A JSON schema per section (draft 2020-12); each property has a ``description``, and a ``default``
unless it must be given. :mod:`segxai.workflow.plugins` adds the methods.
"""

NAME = "^[a-z0-9][a-z0-9-]*$"
# Names outside wildcards may contain an underscore.
WORD = "^[a-z0-9][a-z0-9_-]*$"
SEED = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
COUNT = {"type": "integer", "minimum": 1}
WHOLE = {"type": "integer", "minimum": 0}
POSITIVE = {"type": "number", "exclusiveMinimum": 0}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
BELOW_ONE = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}
TEXT = {"type": "string"}
# Text for readers, stored as they read it: `segxai.workflow.names.plain`.
PRINTED = {"type": "string", "printed": True}
PLACE = TEXT | {"minLength": 1}
SWITCH = {"type": "boolean"}
SIDE = {"type": "integer", "minimum": 8, "maximum": 8192}
THREADS = {"type": "integer", "minimum": 1, "maximum": 1024}
SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
MD5 = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
ORCID = {"type": "string", "pattern": r"^https://orcid\.org/(\d{4}-){3}\d{3}[\dX]$"}
ADDRESS = {"type": "string", "pattern": "^https?://"}
REFERENCES = ["truth", "segmentation", "marker", "instances", "findings"]
ROLES = ["variant", "coarse", "control", "baseline", "segmentation", "dose", "bound"]
STATISTICS = [
    *("mean", "rank", "gain", "agreement", "concordance", "auroc", "aurc", "augrc", "error_rate"),
]
RECOGNITION = [
    *("accuracy", "f1", "auroc", "images", "no_predicted_label", "no_finding"),
    *("patch_accuracy", "patch_f1", "patch_auroc"),
]
KEYS = ["dataset", "network", "explainer", "segmenter"]
FIGURES = [
    *("mask_examples", "map_examples", "map_grid", "distributions", "risk_coverage", "responses"),
    *("training", "dots", "agreement", "front"),
]


def key(schema: dict, description: str, **more) -> dict:
    """Schema of a key: its values and its meaning."""
    return schema | {"description": description} | more


def optional(schema: dict, default, description: str, **more) -> dict:
    """Schema of a key that may be left out; its default, if null, is among its values."""
    if default is None and isinstance(schema.get("type"), str):
        schema = schema | {"type": [schema["type"], "null"]}
    return key(schema, description, default=default, **more)


def free(schema: dict, description: str) -> dict:
    """Schema of a key that may be left out and then stays absent."""
    return key(schema, description, absent=True)


def mapping(properties: dict, description: str = "", **more) -> dict:
    """Schema of a mapping with only these keys; those without a default are required."""
    left_out = {name for name, value in properties.items() if {"default", "absent"} & set(value)}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name in properties if name not in left_out],
        "properties": properties,
        "description": description,
    } | more


def named(schema: dict, description: str, pattern: str = NAME, **more) -> dict:
    """Schema of a mapping from names to definitions of one kind."""
    return mapping({}, description, patternProperties={pattern: schema}) | more


def listed(items: dict, **more) -> dict:
    """Schema of a list."""
    return {"type": "array", "items": items} | more


def one_of(*values) -> dict:
    """Schema of one of some values."""
    return {"enum": [*values]}


def several(item: dict) -> dict:
    """Schema of one value, or of a list of them."""
    return {"anyOf": [item, listed(item, minItems=1)]}


NAMES = listed(TEXT, uniqueItems=True)
TEXTS = listed(TEXT, minItems=1)
UNIQUE = listed(TEXT, minItems=1, uniqueItems=True)

# fmt: off
FILE = mapping({
    "name": key(TEXT, "Name of the file; an archive is unpacked into a folder of that name",
                pattern=r"^\w[\w.-]*$"),
    "url": key(TEXT, "Address of the file"),
    "bytes": free(COUNT, "Size of the file in bytes where it is published"),
    "sha256": free(SHA256, "SHA-256 of the file"),
    "md5": free(MD5, "MD5 of the file where no SHA-256 is published"),
}, oneOf=[{"required": ["sha256"]}, {"required": ["md5"]}])
DOWNLOAD = mapping({
    "url": free(TEXT, "Address of the archive"),
    "bytes": free(COUNT, "Size of the archive in bytes"),
    "sha256": free(SHA256, "SHA-256 of the archive"),
    "checksum_from": free(ADDRESS, "Zenodo record in its API (`https://zenodo.org/api/records/…`) "
                          "that gives name, size and MD5 of the archive"),
    "files": free(listed(FILE, minItems=1), "Several files, archives or not, each with its own "
                  "checksum: `name`, `url`, `bytes`, and `sha256` or `md5`"),
    "bucket": free(ADDRESS, "Public bucket (Amazon's S3 protocol) with the images, fetched after "
                   "`files`"),
    "series": free(TEXTS, "Lists of the bucket's series (CSV: SeriesInstanceUID, crdc_series_uuid, "
                   "bytes); relative to the checkout"),
    "connections": free(COUNT | {"maximum": 32}, "Simultaneous requests to the bucket"),
    "version": free(TEXT, "Version of the collection that `series` pins"),
}, "Official download; none for a data set with `path`", allOf=[
    {"if": {"required": ["bucket"]}, "then": {"required": ["files", "series", "connections"]}},
    {"if": {"required": ["url"], "not": {"required": ["checksum_from"]}},
     "then": {"required": ["sha256"]}},
])

DATASET = {
    "title": key(PRINTED, "Name in tables and figures"),
    "path": optional(PLACE, None, "Folder with a copy on disk to use instead of downloading"),
    "max_images": optional(COUNT | {"minimum": 2}, None, "Seeded subset of this many images; null "
                           "for all. From a bucket no others are downloaded"),
    "max_rejected": optional(WHOLE, 0, "Unusable images tolerated before the run stops"),
    "n_images": optional(COUNT, None, "Published number of images, from which shards are counted"),
    "analysis_size": key(SIDE | {"minimum": 32},
                         "Side in px of images, masks and scores"),
    "mask_mismatch": optional(one_of("drop", "resize"), "drop", "An image whose mask has another "
                              "size is rejected, or its mask is resized and flagged"),
    "bits": optional(COUNT | {"minimum": 8, "maximum": 16}, None, "Bits that its "
                     "16-bit images use, such as 12: their range becomes 0 to 255; null for all"),
    "channels": optional(UNIQUE, ["red", "green", "blue"], "Names of the images' channels"),
    "display": optional(listed(WHOLE, minItems=3, maxItems=3), [0, 1, 2],
                        "Channels taken as red, green and blue by figures and the CRF"),
    "instances": optional(SWITCH, False, "Score single objects, such as nuclei, beside masks"),
    "classes": key(UNIQUE | {"minItems": 2, "items": PRINTED},
                   "Class names; with patches, the first is the class without finding"),
    "patches": optional(mapping({
        "grid": key(COUNT, "Windows per side"),
        "negative_below": key(SHARE, "Largest share of lesion pixels in a negative patch"),
    }), None, "Labelled windows for training (ExplainSeg §4.1); null trains on whole images"),
    "split": key(mapping({
        "by": optional(one_of("group", "image", "official"), "group", "Split groups (patient, "
                       "lesion), or images by NumPy's shuffle of their published order, or take "
                       "the published test images and draw validation by group"),
        "validation": key(COUNT, "Validation images"),
        "test": optional(WHOLE, 0, "Test images"),
        "seed": key(SEED, "Seed of the split and of subsets"),
    }), "Split into training, validation and test"),
    "licence": key(PRINTED, "Terms of the data"),
    "citation": key(PRINTED, "Paper of the data"),
}

TRAINING = mapping({
    "loss": key(one_of("cross_entropy", "bce", "paper_code", "segmentation"), "Softmax "
                "cross-entropy of classes that exclude each other; for labels with a sigmoid each, "
                "binary cross-entropy or the loss of SegX's code; for a segmenter, SegX's eq. 8"),
    "cross_entropy_weight": free(SHARE, "λ of SegX's eq. 8; the rest is Dice loss. For "
                                 "`segmentation` only"),
    "optimiser": key(one_of("sgd", "adam", "adamw"), "Optimiser"),
    "learning_rate": key(POSITIVE, "Initial learning rate"),
    "momentum": optional(BELOW_ONE, 0.0, "Momentum of SGD"),
    "weight_decay": optional({"type": "number", "minimum": 0}, 0.0, "Weight decay"),
    "decay_every": key(COUNT, "Epochs between decays of the learning rate"),
    "decay_after": optional(WHOLE, 0, "Epochs before the first of them (warm-up)"),
    "decay_factor": key(POSITIVE | {"maximum": 1}, "Factor of each decay"),
    "epochs": key(COUNT, "Largest number of epochs"),
    "patience": optional(COUNT, None, "Epochs without a lower validation loss before training "
                         "stops; null never"),
    "batch_size": key(COUNT, "Images per step"),
    "augmentation": optional(mapping({
        "flip": optional(SHARE, 0.0, "Probability of a horizontal flip"),
        "jitter": optional(BELOW_ONE, 0.0,
                           "Half-width of brightness, contrast and saturation factors"),
        "rotation": optional({"type": "number", "minimum": 0, "maximum": 180}, 0,
                             "Largest rotation in degrees"),
    }), {}, "Random changes of each training image"),
    "images": optional(COUNT, None, "Seeded subset of this many training images, with their "
                       "patches or masks; a smaller one lies within a larger one. Validation "
                       "images stay; null for all"),
    "cached_views": optional(COUNT, None, "With a frozen body, augmented views computed once and "
                             "used in turn; null draws new ones each epoch"),
}, **{
    "if": {"properties": {"loss": {"const": "segmentation"}}},
    "then": {"required": ["cross_entropy_weight"]},
    "else": {"properties": {"cross_entropy_weight": False}},
})
BY_DATASET = {
    name: key(TRAINING["properties"][name], f"{TRAINING['properties'][name]['description']} there")
    for name in ("learning_rate", "batch_size", "epochs")
}

NETWORK = {
    "pretrained": optional(SWITCH, False, "Start from timm's download"),
    "weights": optional(PLACE, None, "Local file with the body's weights (safetensors or torch "
                        "state dict); wins over `pretrained`"),
    "input_size": key(SIDE, "Side of the network's input in px"),
    "normalisation": optional(one_of("training", "pretraining"), "training", "Channel mean and "
                              "deviation of inputs: those of the training images, or of the "
                              "network's pretraining"),
    "unfreeze_blocks": optional(WHOLE, None, "Last blocks of a transformer that are trained with "
                                "the head; 0 for the head alone, null for the whole network"),
    "training": optional(TRAINING, None, "Fine-tuning; null uses the network as published"),
    "by_dataset": optional(named(mapping(BY_DATASET, required=[]), ""), {},
                           "Training on single data sets where it differs"),
}
SCOPE = optional(one_of("union", "per_class"), "union",
                 "One mask of all findings of an image, or one per class (segmenters)")
PRECISION = optional(one_of("float32", "bfloat16"), "float32", "Arithmetic of the passes; bfloat16 "
                     "only where the processor has it and check_precision finds the maps kept")
ROLE = key(one_of(*ROLES), "What it is in tables and figures; a `bound` sees the truth")
# Keys of a view or a segmenter of maps that reads the keys of a network.
TOKEN_KEYS = {
    "network": optional(TEXT, None, "One of `networks`; null, where keys are read beside a map, "
                        "for the explained one"),
    "input_size": optional(SIDE, None, "Side of the network's input in px, a multiple of its "
                           "patches; null for its own"),
}
WINDOWS = optional(mapping({
    "grids": key(listed(COUNT | {"maximum": 8}, minItems=1, uniqueItems=True), "Scales g, with "
                 "windows of 1/g of the image's side: 1 is the whole image, 2 is quadrants"),
    "overlap": optional({"type": "number", "minimum": 0, "maximum": 0.9}, 0, "Share of a window's "
                        "side that its neighbour covers at least"),
}), None, "Explain windows of each image, resized to the network's input, and put their maps "
    "together; null for the whole image at once")
# Keys of a segmenter, and those that follow from the inputs of its method.
SEGMENTER = {
    "view": key(TEXT, "One of `views`: the grey map that is cut"),
    "of": key(TEXT, "The segmenter whose masks are refined"),
    "network": key(TEXT, "One of `networks`"),
    "input_size": key(SIDE, "Side of the network's input in px, a multiple of its patches"),
    "centre": optional(SWITCH, False, "Subtract the mean key of each image"),
}
READ_BY = {
    "keys": ["network", "input_size", "centre"],
    "levels": ["network"], "network": ["network"],
}

VALUE = {"metric": several(TEXT), "view": several(TEXT), "reference": several(one_of(*REFERENCES))}
MEASURE = mapping(VALUE, required=["metric"])
ROLE_LIST = listed(one_of(*ROLES))
ROLES_OF = mapping({"roles": ROLE_LIST, "first": TEXT, "last": TEXT}, required=[])
CHOSEN = {"anyOf": [NAMES, ROLES_OF, {"type": "null"}]}
WHERE = one_of("correct", "incorrect", "marked", "unmarked")
CELL = mapping(VALUE | {
    "statistic": several(one_of(*STATISTICS)),
    "where": several(WHERE),
    "with": TEXT,
    "minus": {"anyOf": [TEXT, mapping(VALUE, required=[])]},
    "against": WHERE,
    "title": PRINTED,
}, required=[])
EXAMPLE = mapping(VALUE | {"title": PRINTED, "short": PRINTED}, required=["metric", "title"])
SCORES = mapping({
    "of": key(one_of("maps", "masks"), "Objects that are scored"),
    "needs": optional(one_of("instances", "shortcut", "seeds", None), None,
                      "Only data sets that have these, or runs of two or more `seeds`"),
    "segmenters": optional(NAMES, None, "Segmenters whose masks are the segmentation; null for the "
                           "study's"),
    "measure": key(listed(MEASURE, minItems=1),
                   "`metric`, `view` and `reference` of each score; lists are multiplied"),
})
TESTS = mapping(VALUE | {
    "kind": one_of("wilcoxon", "mann_whitney", "friedman"),
    "roles": ROLE_LIST,
    "pairs": one_of("all", "first", "best"),
}, required=["kind", "metric"])
TABLE = mapping({
    "title": key(PRINTED, "Heading"),
    "caption": optional(PRINTED, "", "What the table shows, below it in the page"),
    "number": optional(PRINTED, None, "Number of the paper's table"),
    "scores": key(TEXTS, "Families of scores"),
    "rows": key(listed(one_of(*KEYS), minItems=1), "Keys that make a row"),
    "segmenters": optional(CHOSEN, None,
                           "Names, or `roles`, with one `first` or `last`; null for all"),
    "splits": key(listed(one_of("all", "train", "validation", "test"), minItems=1),
                  "Subsets of the images, each with its numbers"),
    "unit": optional(one_of("percent", "fraction"), "fraction", "Unit of the numbers"),
    "values": key(listed(CELL), "Numbers of a row: `metric`, `view`, `reference`, `statistic`, "
                  "`where`, `with`, `minus`, `against`; those with a `title` are columns of the "
                  "printed table. `statistic: agreement` gives instead how alike each two values "
                  "order what the last key of `rows` distinguishes, `concordance` all at once"),
    "predictions": optional(listed(one_of(*RECOGNITION)), [],
                            "Statistics of each network's predictions of whole images, and of the "
                            "labelled patches of data sets that have them"),
    "tests": optional(TESTS, None, "Tests of rows against each other"),
})
GUIDELINES = mapping({
    "title": key(PRINTED, "Heading"),
    "caption": optional(TEXT, "", "What is to be known to read it"),
    "scores": key(TEXTS, "Families of scores, with `cost` and `completeness` among their metrics"),
    "goals": key(named(MEASURE, ""), "What explainers are judged by, by the name of the goal"),
    "controls": key(NAMES, "Explainers that see no network, or no class: the best of them is to be "
                    "beaten"),
    "usual": key(TEXT, "Explainer that is always taken, for comparison"),
    "budgets": key(listed(COUNT, minItems=1), "Forward passes an image; a gradient counts twice"),
    "completeness": optional(POSITIVE, 0.1, "Largest mean completeness error"),
})
EXAMPLES = mapping({
    "count": key(COUNT, "Images in the report's browser"),
    "scores": key(TEXTS, "Families of scores beside them"),
    "rank": key(MEASURE, "Score that orders them"),
    "confidence": optional(MEASURE, None, "Confidence that orders the errors"),
    "values": key(listed(EXAMPLE, minItems=1), "Numbers shown beside them"),
})
FIGURE = mapping({
    "kind": key(one_of(*FIGURES), "Kind of figure"),
    "segmenters": optional(CHOSEN, None, "As in a table"),
    "tables": optional(listed(TEXT), None, "Tables whose rows are drawn"),
    "table": optional(TEXT, None, "Table that is drawn"),
    "mark": optional(TEXT, None, "Table with the marked point"),
    "cost": optional(TEXT, None, "Table with the passes: gradients and forward passes"),
    "scores": optional(TEXT, None, "Family of scores that is drawn"),
    "confidences": optional(named(PRINTED, "", WORD) | {"type": ["object", "null"]}, None,
                            "Metrics that are drawn, with their printed names; null for all"),
    "metric": optional(TEXT, None, "Metric that is drawn"),
})
STUDY = mapping({
    "title": key(PRINTED, "Name of the study"),
    "paper": optional(TEXT, None, "Its published numbers: config/published/{paper}.csv"),
    "datasets": key(NAMES, "Data sets; an empty list leaves the study out"),
    "networks": key(NAMES, "Networks to explain"),
    "explainers": key(NAMES, "Explainers of these networks"),
    "targets": optional(one_of("label", "region"), "label",
                        "Each predicted label, or a segmenter's predicted region"),
    "split": optional(one_of("train", "validation", "test", None), None,
                      "Explain images of this subset only; null for all"),
    "images": optional({"anyOf": [COUNT, {"type": "null"}, named(COUNT, "")]}, None, "Explain a "
                       "seeded subset of this many images, or of so many of single data sets; null "
                       "for all"),
    "segmenters": key(NAMES, "Segmenters to score"),
    "segmentation": optional(TEXT, None, "Segmenter whose mask is the reference `segmentation`"),
    "headline": optional(TEXT, None, "The study's own segmenter"),
    "scores": key(named(SCORES, "", WORD), "Families of scores, by name"),
    "tables": key(named(TABLE, "", WORD), "Tables, by name"),
    "guidelines": optional(named(GUIDELINES, "", WORD), {}, "Which explainers are recommended"),
    "examples": optional(EXAMPLES, None, "Images shown one by one"),
    "figures": optional(named(FIGURE, "", WORD), {}, "Figures, by name"),
})

SECTIONS = {
    "run": key(UNIQUE, "Studies to run"),
    "seeds": key(listed(SEED, minItems=1, uniqueItems=True),
                 "Seeds of training and noise; everything runs once for each"),
    "shard_size": key(COUNT, "Targets or images per job of explaining and segmenting"),
    "threads": key(mapping({
        "train": key(THREADS, "Threads of training"),
        "explain": key(THREADS, "Threads of predictions and explanations"),
        "segment": key(THREADS, "Processes of tuning, segmentation and scores"),
    }), "Threads of a job by stage; numbers depend on them, never on `--cores`"),
    "statistics": key(mapping({
        "resamples": key({"type": "integer", "minimum": 100, "maximum": 1000000},
                         "Bootstrap resamples"),
        "confidence": key(POSITIVE | {"exclusiveMaximum": 1}, "Coverage of intervals"),
        "seed": key(SEED, "Seed of the resampling"),
    }), "Intervals of means"),
    "bundle": key(mapping({
        "agent": optional(TEXT, None, "Name of the person who runs the study; null for none"),
        "orcid": optional(ORCID, None, "Their ORCID, as an address"),
    }), "Entries of the bundle besides the run itself"),
    "studies": named(STUDY, "Studies by name, one YAML each in config/studies", WORD),
}
# Sections that hold methods, one definition each.
DEFINITIONS = {
    "datasets": "Data sets by name, one YAML each in config/datasets",
    "networks": "Classifiers and segmenters by name",
    "explainers": "Explainers by name",
    "views": "Ways from an attribution to a map, by name",
    "segmenters": "Ways to a mask, by name",
    "metrics": "Metrics by name",
}
# fmt: on


def tuning(grid: dict) -> dict:
    """Schema of the tuning with a grid of values."""
    keys = {
        "images": key(COUNT, "Validation images used at most"),
        "grid": key(grid, "Values tried, by method of a view or segmenter and setting"),
    }
    return mapping(
        keys, "Search for the settings of each segmenter and its view on validation images"
    )
