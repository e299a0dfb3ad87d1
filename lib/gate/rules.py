"""The sixteen checks by number: name, unit of the value, rule in words. What each is for: docs/how-to/read-the-gate.md."""

from lib.gate.check import Rule

_RULES = [
    Rule("G1", "constraints", "", "no attacked image leaves the ball (relative) or the box (absolute) by more than 1e-5, none is NaN"),
    Rule(
        "G2",
        "determinism",
        "",
        "logits of the same image in several forward passes, among others and alone, differ by less than 1e-4 of the largest",
    ),
    Rule("G3", "logits", "%", "no image's outputs are probabilities (fail); more than 3 classes, which APGD-T needs (warn)"),
    Rule(
        "G4",
        "order of strength",
        "points",
        "clean ≥ noise ≥ FGSM ≥ 10 steps ≥ one walk ≥ all restarts ≥ AutoAttack; out of order by more than 0.5 points fails",
    ),
    Rule(
        "G5",
        "curve",
        "%",
        "the strict attack leaves at most 1 % at the largest radius of each norm (warn), at L∞ ≥ 0.5 no more than the largest class "
        "(fail); the paper's accuracy does not rise with the radius by more than 0.5 points (fail)",
    ),
    Rule(
        "G6",
        "convergence",
        "points",
        "2.5 or 5 times the steps, half or double the step break less than 1 point more (fail); the loss moves less than 5 % of its "
        "range in the last quarter of the path (warn)",
    ),
    Rule("G7", "restarts", "points", "as many restarts again break less than 0.5 points more"),
    Rule("G8", "black-box not better", "points", "transfer, noise or Square break at most 0.2 points that the white-box attacks do not"),
    Rule(
        "G9",
        "loss agreement",
        "points",
        "one walk on plain cross-entropy and the better one of margin and standardised cross-entropy differ by less than 2 points",
    ),
    Rule(
        "G10",
        "gradient health",
        "%",
        "exactly zero gradients at the images: more than 0.1 % warns, more than 10 % fails, the same on the way; any NaN fails; "
        "the paper's attack takes less than 0.95 of its step: its column fails",
    ),
    Rule("G11", "paper minus strict", "points", "always reported; fails if the strict attack leaves more than 0.5 points more standing"),
    Rule("G12", "silent success", "points", "more than 0.5 points are fooled on the way but not at its end (warn)"),
    Rule("G13", "local linearity", "", "median cosine of the gradients at the image and at a random point of the ball at least 0.2 (warn)"),
    Rule(
        "G14",
        "logit scale, float64",
        "points",
        "logits times 10 or 1000, or float64, move the accuracy by less than 0.5 points (fail), and as many single outcomes (warn)",
    ),
    Rule(
        "G15",
        "undefended reference",
        "%",
        "the strict attack leaves of the undefended network: MNIST L∞ 0.3 less than 2 %, L2 3.5 at most 1 %; CIFAR-10 L2 320/255 "
        "at most 0.5 %",
    ),
    Rule("G16", "interval", "points", "half-width of the 95 % Wilson interval of the strict accuracy, reported; above 5 points warns"),
]

RULES = {rule.id: rule for rule in _RULES}
