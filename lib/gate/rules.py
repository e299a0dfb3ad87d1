"""The checks by number: name, unit of the value, what a failure is about, rule in words. What each is for: docs/how-to/read-the-gate.md.

The numbers G7 and G12 belonged to checks of attacks that are no longer made.
"""

from lib.gate.check import Rule

_RULES = [
    Rule(
        "G1",
        "returned images",
        "",
        "all",
        "every image that a radius belongs to lies in the box, at that distance, and is misclassified when it is asked again; no image of "
        "another attack leaves its ball (relative) or the box (absolute) by more than 1e-5",
    ),
    Rule(
        "G2",
        "determinism",
        "",
        "all",
        "logits of the same image in several forward passes, among others and alone, differ by less than 1e-4 of the largest; moved by "
        "1e-6 in every pixel, by less than 1e-2",
    ),
    Rule("G3", "logits", "%", "all", "no image's outputs are probabilities (fail); more than 3 classes, which APGD-T needs (warn)"),
    Rule(
        "G4",
        "referee",
        "%",
        "radius",
        "AutoAttack breaks at most 1 % of the images that the search left standing and it was tried on (or one image); other "
        "white-box attacks shorten the mean radius by at most 3 %",
    ),
    Rule(
        "G5",
        "end of the curve",
        "%",
        "radius",
        "every image falls somewhere in the box; at L∞ 0.5, where the grey image is in reach, no more stand than the largest class has",
    ),
    Rule(
        "G6",
        "convergence",
        "%",
        "radius",
        "a longer search shortens the mean radius by at most 2 % (warn) or 3 % (fail), the last tenth of the search by at most 2 % (warn)",
    ),
    Rule(
        "G8",
        "black-box not better",
        "%",
        "radius",
        "noise, straight lines, transferred images and Square find on none of the images anything that is more than 5 % shorter",
    ),
    Rule(
        "G9",
        "paper's column",
        "%",
        "paper",
        "cross-entropy's gradient is exactly zero at no more than 10 % of the images (fail); how far the paper's attack gets is reported",
    ),
    Rule(
        "G10",
        "gradient health",
        "%",
        "all",
        "exactly zero gradients of the margin at the images, or in the search: more than 0.1 % warns, more than 10 % fails; any that is "
        "not finite fails; the distance that they predict is off by less than a factor of 100 (fail)",
    ),
    Rule(
        "G11",
        "paper minus strict",
        "points",
        "radius",
        "reported; fails if the paper's attack breaks images whose radius is more than 5 % larger than its own",
    ),
    Rule(
        "G13",
        "local linearity",
        "",
        "radius",
        "median cosine of the margin's gradients at the image and at a random point of the ball up to its radius at least 0.2 (warn)",
    ),
    Rule(
        "G14",
        "logit scale, float64",
        "%",
        "radius",
        "a short walk in float64 with logits of size 1 shortens the mean radius by at most 3 %",
    ),
    Rule(
        "G15",
        "undefended reference",
        "%",
        "radius",
        "of the undefended network's images stand: MNIST L∞ 0.3 less than 2 %, L2 3.5 at most 1 %; CIFAR-10 L2 320/255 at most 0.5 %",
    ),
    Rule("G16", "interval", "%", "radius", "half-width of the 95 % interval of the mean radius over images, in percent of it, reported"),
]

RULES = {rule.id: rule for rule in _RULES}
