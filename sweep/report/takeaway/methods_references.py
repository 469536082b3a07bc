"""The works that a methods text names."""

from __future__ import annotations

from collections.abc import Iterable

REFERENCES = {
    "Akiba et al., 2019": (
        "Akiba, T. et al. (2019). Optuna: A next-generation hyperparameter optimization framework."
        " KDD."
    ),
    "Bergstra et al., 2011": (
        "Bergstra, J. et al. (2011). Algorithms for hyper-parameter optimization. NeurIPS 24."
    ),
    "Golovin et al., 2017": (
        "Golovin, D. et al. (2017). Google Vizier: A service for black-box optimization. KDD."
    ),
    "Gutmann and Maymin, 1987": (
        "Gutmann, S. and Maymin, Z. (1987). Is the selected population the best? Annals of"
        " Statistics 15."
    ),
    "Hansen, 2016": "Hansen, N. (2016). The CMA evolution strategy: A tutorial. arXiv:1604.00772.",
    "Holm, 1979": (
        "Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian"
        " Journal of Statistics 6."
    ),
    "Isensee et al., 2021": (
        "Isensee, F. et al. (2021). nnU-Net: a self-configuring method for deep learning-based"
        " biomedical image segmentation. Nature Methods 18."
    ),
    "Li et al., 2018": (
        "Li, L. et al. (2018). Hyperband: A novel bandit-based approach to hyperparameter"
        " optimization. Journal of Machine Learning Research 18(185)."
    ),
    "Li et al., 2020": (
        "Li, L. et al. (2020). A system for massively parallel hyperparameter tuning. MLSys 2."
    ),
    "Wang and Tsiatis, 1987": (
        "Wang, S. K. and Tsiatis, A. A. (1987). Approximately optimal one-parameter boundaries for"
        " group sequential trials. Biometrics 43."
    ),
}
"""How a text names a work → the entry of a list of references."""


def references(texts: Iterable[str]) -> str:
    """The entries of the works that are named in any of the texts, in order of their authors."""
    every = " ".join(texts)
    return " ".join(entry for name, entry in REFERENCES.items() if name in every)
