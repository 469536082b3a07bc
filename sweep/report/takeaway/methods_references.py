"""The works that a methods text names: for its list of references, and as BibTeX."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sweep.report.takeaway.latex_text import escaped

NOT_RECORDED = "% Where Ray ran the trials (not `--local`), which no record says:"


@dataclass(frozen=True, slots=True)
class Work:
    """An entry of a list of references.

    Args:
        key: its BibTeX key.
        author: as BibTeX has it: ``Last, First and Last, First``.
        title, year: of the work.
        place: where it was published, with its volume.
        fields: of BibTeX beside these; the first is ``journal``, ``booktitle`` or
            ``howpublished``.
    """

    key: str
    author: str
    title: str
    year: int
    place: str
    fields: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """``Akiba, T. et al. (2019). Title. Place.``"""
        names = self.author.split(" and ")
        who = " and ".join(map(_short, names)) if len(names) < 3 else f"{_short(names[0])} et al."
        title = self.title if self.title.endswith("?") else f"{self.title}."
        return f"{who} ({self.year}). {title} {self.place}."

    @property
    def bibtex(self) -> str:
        """The entry, its title in braces, so that no style changes its capitals."""
        kinds = {"journal": "article", "booktitle": "inproceedings"}
        common = (("author", self.author), ("title", f"{{{self.title}}}"), ("year", str(self.year)))
        lines = [f"  {name:<12} = {{{value}}}," for name, value in (*common, *self.fields)]
        return "\n".join([f"@{kinds.get(self.fields[0][0], 'misc')}{{{self.key},", *lines, "}"])


def _short(name: str) -> str:
    """``Li, Lisha`` → ``Li, L.``"""
    last, _, first = name.partition(", ")
    return f"{last}, {' '.join(f'{one[0]}.' for one in first.split())}"


Fields = tuple[tuple[str, str], ...]


def _journal(name: str, volume: str, number: str, pages: str) -> Fields:
    return ("journal", name), ("volume", volume), ("number", number), ("pages", pages)


def _arxiv(number: str) -> Fields:
    return ("howpublished", f"arXiv:{number}"), ("eprint", number), ("archiveprefix", "arXiv")


WORKS = {
    "Akiba et al., 2019": Work(
        "akiba2019optuna",
        "Akiba, Takuya and Sano, Shotaro and Yanase, Toshihiko and Ohta, Takeru and Koyama,"
        " Masanori",
        "Optuna: A next-generation hyperparameter optimization framework",
        2019,
        "KDD",
        (
            (
                "booktitle",
                "Proceedings of the 25th ACM SIGKDD International Conference on Knowledge Discovery"
                " and Data Mining",
            ),
            ("pages", "2623--2631"),
        ),
    ),
    "Bergstra et al., 2011": Work(
        "bergstra2011algorithms",
        "Bergstra, James and Bardenet, Rémi and Bengio, Yoshua and Kégl, Balázs",
        "Algorithms for hyper-parameter optimization",
        2011,
        "NeurIPS 24",
        (("booktitle", "Advances in Neural Information Processing Systems"), ("volume", "24")),
    ),
    "Cardoso et al., 2022": Work(
        "cardoso2022monai",
        "Cardoso, M. Jorge and Li, Wenqi and Brown, Richard and Ma, Nic and Kerfoot, Eric and Wang,"
        " Yiheng and Murrey, Benjamin and Myronenko, Andriy and Zhao, Can and Yang, Dong and"
        " others",
        "MONAI: An open-source framework for deep learning in healthcare",
        2022,
        "arXiv:2211.02701",
        _arxiv("2211.02701"),
    ),
    "Golovin et al., 2017": Work(
        "golovin2017vizier",
        "Golovin, Daniel and Solnik, Benjamin and Moitra, Subhodeep and Kochanski, Greg and Karro,"
        " John and Sculley, D.",
        "Google Vizier: A service for black-box optimization",
        2017,
        "KDD",
        (
            (
                "booktitle",
                "Proceedings of the 23rd ACM SIGKDD International Conference on Knowledge Discovery"
                " and Data Mining",
            ),
            ("pages", "1487--1495"),
        ),
    ),
    "Gutmann and Maymin, 1987": Work(
        "gutmann1987selected",
        "Gutmann, Sam and Maymin, Zakhar",
        "Is the selected population the best?",
        1987,
        "Annals of Statistics 15",
        _journal("The Annals of Statistics", "15", "1", "456--461"),
    ),
    "Hansen, 2016": Work(
        "hansen2016cma",
        "Hansen, Nikolaus",
        "The CMA evolution strategy: A tutorial",
        2016,
        "arXiv:1604.00772",
        _arxiv("1604.00772"),
    ),
    "Holm, 1979": Work(
        "holm1979multiple",
        "Holm, Sture",
        "A simple sequentially rejective multiple test procedure",
        1979,
        "Scandinavian Journal of Statistics 6",
        _journal("Scandinavian Journal of Statistics", "6", "2", "65--70"),
    ),
    "Isensee et al., 2021": Work(
        "isensee2021nnunet",
        "Isensee, Fabian and Jaeger, Paul F. and Kohl, Simon A. A. and Petersen, Jens and"
        " Maier-Hein, Klaus H.",
        "nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation",
        2021,
        "Nature Methods 18",
        _journal("Nature Methods", "18", "2", "203--211"),
    ),
    "Kish, 1965": Work(
        "kish1965sampling",
        "Kish, Leslie",
        "Survey sampling",
        1965,
        "Wiley, New York",
        (("howpublished", "Wiley, New York"),),
    ),
    "Li et al., 2018": Work(
        "li2018hyperband",
        "Li, Lisha and Jamieson, Kevin and DeSalvo, Giulia and Rostamizadeh, Afshin and Talwalkar,"
        " Ameet",
        "Hyperband: A novel bandit-based approach to hyperparameter optimization",
        2018,
        "Journal of Machine Learning Research 18(185)",
        _journal("Journal of Machine Learning Research", "18", "185", "1--52"),
    ),
    "Li et al., 2020": Work(
        "li2020asha",
        "Li, Liam and Jamieson, Kevin and Rostamizadeh, Afshin and Gonina, Ekaterina and Ben-Tzur,"
        " Jonathan and Hardt, Moritz and Recht, Benjamin and Talwalkar, Ameet",
        "A system for massively parallel hyperparameter tuning",
        2020,
        "MLSys 2",
        (
            ("booktitle", "Proceedings of Machine Learning and Systems"),
            ("volume", "2"),
            ("pages", "230--246"),
        ),
    ),
    "MacKinnon et al., 2023": Work(
        "mackinnon2023cluster",
        "MacKinnon, James G. and Nielsen, Morten Ørregaard and Webb, Matthew D.",
        "Cluster-robust inference: A guide to empirical practice",
        2023,
        "Journal of Econometrics 232",
        _journal("Journal of Econometrics", "232", "2", "272--299"),
    ),
    "Schmucker et al., 2021": Work(
        "schmucker2021moasha",
        "Schmucker, Robin and Donini, Michele and Zafar, Muhammad Bilal and Salinas, David and"
        " Archambeau, Cédric",
        "Multi-objective asynchronous successive halving",
        2021,
        "arXiv:2106.12639",
        _arxiv("2106.12639"),
    ),
    "Wang and Tsiatis, 1987": Work(
        "wang1987boundaries",
        "Wang, Samuel K. and Tsiatis, Anastasios A.",
        "Approximately optimal one-parameter boundaries for group sequential trials",
        1987,
        "Biometrics 43",
        _journal("Biometrics", "43", "1", "193--199"),
    ),
}
"""How a text names a work → the work."""
RAY_TUNE = Work(
    "liaw2018tune",
    "Liaw, Richard and Liang, Eric and Nishihara, Robert and Moritz, Philipp and Gonzalez, Joseph"
    " E. and Stoica, Ion",
    "Tune: A research platform for distributed model selection and training",
    2018,
    "arXiv:1807.05118",
    _arxiv("1807.05118"),
)


def references(texts: Iterable[str]) -> str:
    """The entries of the works that are named in any of the texts, in order of their authors."""
    return " ".join(work.text for work in _named(texts))


def bibliography(texts: Iterable[str], version: str | None) -> str:
    """The same as a ``.bib`` file, after this software and Ray Tune.

    Args:
        texts: of the methods.
        version: of this software, with which the winner was trained; None: it is not known.
    """
    known = f"Version {escaped(version)}" if version else "Version not recorded"
    own = (
        "@misc{medicalsweep,\n"
        "  author       = {{The medical-sweep authors}},\n"
        "  title        = {{medical-sweep: Hyperparameter sweeps for medical segmentation}},\n"
        f"  note         = {{{known}}},\n"
        "}"
    )
    entries = [own, f"{NOT_RECORDED}\n{RAY_TUNE.bibtex}", *(w.bibtex for w in _named(texts))]
    return "\n\n".join(entries) + "\n"


def _named(texts: Iterable[str]) -> list[Work]:
    every = " ".join(texts)
    return [work for name, work in WORKS.items() if name in every]
