"""Files as courses publish them, in miniature: their separators, headers, gaps and texts; the values are made.

A case writes a file and says what is in it: the columns that are features, as a DataFrame with nan for gaps and text
for categories, and the target. The values follow from a seed, so that a reader can be held against them.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Random = np.random.Generator


@dataclass
class Case:
    """What a file holds: `features` and `target` as the file's author means them.

    given : the options that its user has to say in any case, such as the target's column
    """

    name: str
    content: bytes
    features: pd.DataFrame
    target: pd.Series
    given: dict[str, Any] = field(default_factory=dict)


CASES: dict[str, Callable[[Random], Case]] = {}


def case(make: Callable[[Random], Case]) -> Callable[[Random], Case]:
    CASES[make.__name__.replace("_", " ")] = make
    return make


def numbers(r: Random, n: int, names: str, digits: int = 2, scale: float = 3.0, shift: float = 10.0) -> pd.DataFrame:
    """Columns of positive numbers, some of which move with the first."""
    base = r.normal(size=n)
    found = {name: (shift + scale * (0.6 * base + r.normal(size=n))).clip(0.01).round(digits) for name in names.split()}
    return pd.DataFrame(found)


def labels(r: Random, x: pd.DataFrame, names: list[Any], noise: float = 1.0) -> pd.Series:
    """Classes that the columns of numbers tell apart, up to noise."""
    z = x.select_dtypes("number")
    score = ((z - z.mean()) / z.std()).fillna(0).iloc[:, :4].sum(axis=1) + noise * r.normal(size=len(x))
    rank = score.rank(pct=True, method="first").to_numpy()
    return pd.Series([names[min(int(v * len(names)), len(names) - 1)] for v in rank])


def prices(r: Random, x: pd.DataFrame, digits: int = 1) -> pd.Series:
    """A real target, linear in the columns of numbers, up to noise."""
    z = x.select_dtypes("number").fillna(0)
    return (5 + z @ r.uniform(0.5, 2, size=z.shape[1]) + r.normal(size=len(x))).round(digits)


def choose(r: Random, n: int, *names: str) -> np.ndarray:
    return np.array(names, dtype=object)[r.integers(0, len(names), n)]


def gaps(r: Random, column: pd.Series, share: float = 0.1) -> pd.Series:
    found = column.copy().astype(object)
    found[r.random(len(column)) < share] = None
    return found


def text(frame: pd.DataFrame, sep: str = ",", header: bool = True, gap: str = "", **options: Any) -> bytes:
    return frame.to_csv(sep=sep, header=header, index=False, na_rep=gap, **options).encode()


def numeric(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column)


def headless(x: pd.DataFrame, at: int = 1) -> pd.DataFrame:
    """The columns as they are called in a file without a header, counted from `at`."""
    return x.set_axis([f"x{i}" for i in range(at, at + x.shape[1])], axis=1)


# Without a header


@case
def iris_data(r: Random) -> Case:
    x = numbers(r, 150, "a b c d", 1)
    y = labels(r, x, ["Iris-setosa", "Iris-versicolor", "Iris-virginica"])
    return Case("iris.data", text(x.assign(y=y), header=False) + b"\n\n", headless(x), y)


@case
def wdbc_data(r: Random) -> Case:
    x = numbers(r, 180, "a b c d e f g h", 4)
    y = labels(r, x, ["B", "M"])
    ids = pd.Series(r.choice(np.arange(8_000, 92_000_000), 180, replace=False))
    frame = pd.concat([ids.rename("id"), y.rename("y"), x], axis=1)
    whole = pd.concat([ids.rename("x1"), headless(x, 3)], axis=1)
    return Case("wdbc.data", text(frame, header=False), whole, y, {"target": "x2"})


@case
def breast_cancer_wisconsin(r: Random) -> Case:
    x = pd.DataFrame(r.integers(1, 11, (200, 9)), columns=list("abcdefghi"))
    y = labels(r, x, [2, 4])
    x["f"] = gaps(r, x["f"], 0.05)
    ids = pd.Series(r.integers(60_000, 1_400_000, 200))
    frame = pd.concat([ids.rename("id"), x, y.rename("y")], axis=1)
    whole = pd.concat([ids.rename("x1"), headless(x, 2)], axis=1)
    return Case("breast-cancer-wisconsin.data", text(frame, header=False, gap="?"), whole, y, {"target": "x11"})


@case
def wine_data(r: Random) -> Case:
    x = numbers(r, 178, "a b c d e f g h i j k l")
    x["m"] = r.integers(278, 1680, 178)
    y = labels(r, x, [1, 2, 3])
    return Case(
        "wine.data", text(pd.concat([y.rename("y"), x], axis=1), header=False), headless(x, 2), y, {"target": "x1"}
    )


@case
def glass_data_with_id(r: Random) -> Case:
    x = numbers(r, 214, "a b c d e f g h i", 5)
    y = labels(r, x, [1, 2, 3, 5, 6, 7]).sort_values(ignore_index=True)
    frame = pd.concat([pd.Series(range(1, 215), name="id"), x, y.rename("y")], axis=1)
    return Case("glass.data", text(frame, header=False), headless(x, 2), y)


@case
def agaricus_lepiota(r: Random) -> Case:
    x = pd.DataFrame({f"c{i}": choose(r, 300, *"abcdefgh"[: 2 + i % 6]) for i in range(22)})
    y = pd.Series(np.where((x["c4"] == "a") | (x["c8"] == "b"), "e", "p"))
    shown = x.copy()
    shown["c10"] = gaps(r, shown["c10"], 0.3)
    frame = pd.concat([y.rename("class"), shown], axis=1)
    return Case("agaricus-lepiota.data", text(frame, header=False, gap="?"), headless(shown, 2), y, {"target": "x1"})


@case
def car_data(r: Random) -> Case:
    x = pd.DataFrame({
        "buying": choose(r, 400, "vhigh", "high", "med", "low"), "maint": choose(r, 400, "vhigh", "high", "med", "low"),
        "doors": choose(r, 400, "2", "3", "4", "5more"), "persons": choose(r, 400, "2", "4", "more"),
        "lug": choose(r, 400, "small", "med", "big"), "safety": choose(r, 400, "low", "med", "high"),
    })  # fmt: skip
    good = (x["safety"] != "low") & (x["persons"] != "2")
    y = pd.Series(np.where(good, np.where(x["buying"] == "low", "good", "acc"), "unacc"))
    return Case("car.data", text(x.assign(y=y), header=False), headless(x), y)


@case
def adult_data(r: Random) -> Case:
    n = 400
    x = pd.DataFrame({
        "age": r.integers(17, 90, n), "work": gaps(r, pd.Series(choose(r, n, "Private", "State-gov", "Local-gov"))),
        "fnlwgt": r.integers(12_285, 1_484_705, n), "education": choose(r, n, "HS-grad", "Bachelors", "11th"),
        "num": r.integers(1, 17, n), "marital": choose(r, n, "Never-married", "Divorced", "Married-civ-spouse"),
        "occupation": gaps(r, pd.Series(choose(r, n, "Sales", "Tech-support", "Adm-clerical"))),
        "race": choose(r, n, "White", "Black"), "sex": choose(r, n, "Male", "Female"),
        "gain": r.integers(0, 2, n) * r.integers(0, 9999, n), "hours": r.integers(1, 99, n),
    })  # fmt: skip
    y = labels(r, x, ["<=50K", "<=50K", ">50K"])
    body = x.assign(y=y).fillna("?").to_csv(header=False, index=False).replace(",", ", ")
    return Case("adult.data", body.encode() + b"\n", headless(x), y)


@case
def auto_mpg(r: Random) -> Case:
    n = 200
    x = pd.DataFrame({
        "cyl": r.choice([4, 6, 8], n), "disp": r.uniform(68, 455, n).round(1), "hp": r.uniform(46, 230, n).round(1),
        "weight": r.uniform(1613, 5140, n).round(0), "acc": r.uniform(8, 25, n).round(1), "year": r.integers(70, 83, n),
        "origin": r.integers(1, 4, n),
    })  # fmt: skip
    y = (50 - x["weight"] / 150 + r.normal(size=n)).round(1)
    shown = x.assign(hp=gaps(r, x["hp"], 0.04))
    rows = []
    for i in range(n):
        hp = "?" if shown["hp"][i] is None else f"{shown['hp'][i]:.1f}"
        cells = [f"{y[i]:<7}", f"{x['cyl'][i]:<4}", f"{x['disp'][i]:<11}", f"{hp:<11}", f"{x['weight'][i]:.0f}.      ",
                 f"{x['acc'][i]:<7}", f"{x['year'][i]:<4}", f"{x['origin'][i]}"]  # fmt: skip
        rows.append("".join(cells) + f'\t"maker model {i}"')
    return Case("auto-mpg.data", "\n".join(rows).encode(), headless(shown, 2), y, {"target": "x1"})


@case
def housing_data(r: Random) -> Case:
    x = numbers(r, 200, "a b c d e f g h i j k l m", 4)
    y = prices(r, x)
    rows = ["".join(f"{v:>9.4f}" for v in row) + f"{t:>7.2f}" for row, t in zip(x.to_numpy(), y, strict=True)]
    return Case("housing.data", "\n".join(rows).encode(), headless(x), y)


@case
def ex1data1(r: Random) -> Case:
    x = numbers(r, 97, "population", 4)
    y = prices(r, x, 4)
    return Case("ex1data1.txt", text(x.assign(y=y), header=False), headless(x), y)


@case
def ex2data1(r: Random) -> Case:
    x = numbers(r, 100, "exam1 exam2", 11, 20, 60)
    y = labels(r, x, [0, 1], 0.5)
    return Case("ex2data1.txt", text(x.assign(y=y), header=False), headless(x), y)


@case
def ex1data2_whole_prices(r: Random) -> Case:
    x = pd.DataFrame({"size": r.integers(852, 4478, 47), "rooms": r.integers(1, 6, 47)})
    y = (x["size"] * 130 + 80_000 + r.integers(-20_000, 20_000, 47)) // 100 * 100
    return Case("ex1data2.txt", text(x.assign(y=y), header=False), headless(x), y)


@case
def seeds_with_double_tabs(r: Random) -> Case:
    x = numbers(r, 210, "a b c d e f g", 3)
    y = labels(r, x, [1, 2, 3])
    lines = text(x.assign(y=y), sep="\t", header=False).decode().splitlines()
    lines = [line.replace("\t", "\t\t", 2) if i % 9 == 7 else line for i, line in enumerate(lines)]
    return Case("seeds_dataset.txt", "\n".join(lines).encode(), headless(x), y)


@case
def spambase(r: Random) -> Case:
    x = numbers(r, 300, " ".join(f"w{i}" for i in range(57)), 3, 0.4, 0.3)
    y = labels(r, x, [0, 1])
    return Case("spambase.data", text(x.assign(y=y), header=False), headless(x), y)


@case
def zoo_data(r: Random) -> Case:
    x = pd.DataFrame(r.integers(0, 2, (101, 15)), columns=[f"c{i}" for i in range(15)])
    x["legs"] = r.choice([0, 2, 4, 6, 8], 101)
    y = labels(r, x, [1, 2, 3, 4, 5, 6, 7])
    names = pd.Series(["frog" if i == 30 else f"animal{i}" for i in range(101)], name="name")
    names[31] = "frog"
    frame = pd.concat([names, x, y.rename("y")], axis=1)
    return Case("zoo.data", text(frame, header=False), headless(x, 2), y)


@case
def banknote(r: Random) -> Case:
    x = numbers(r, 200, "a b c d", 4) - 10
    y = labels(r, x, [0, 1])
    return Case("data_banknote_authentication.txt", text(x.assign(y=y), header=False), headless(x), y)


@case
def sonar_all_data(r: Random) -> Case:
    x = numbers(r, 208, " ".join(f"s{i}" for i in range(60)), 4, 0.2, 0.5)
    y = labels(r, x, ["M", "R"])
    return Case("sonar.all-data", text(x.assign(y=y), header=False), headless(x), y)


@case
def ionosphere_with_a_constant(r: Random) -> Case:
    x = numbers(r, 200, " ".join(f"p{i}" for i in range(10)), 5, 0.5, 0.0)
    x.insert(1, "zero", 0)
    y = labels(r, x, ["b", "g"])
    return Case("ionosphere.data", text(x.assign(y=y), header=False), headless(x), y)


@case
def abalone(r: Random) -> Case:
    x = numbers(r, 300, "a b c d e f g", 4, 0.1, 0.5)
    y = (20 * x["a"] + r.normal(size=300)).round().astype(int) + 3 * r.integers(0, 2, 300)
    y.iloc[:25] = range(1, 26)
    x.insert(0, "sex", choose(r, 300, "M", "F", "I"))
    return Case("abalone.data", text(x.assign(y=y), header=False), headless(x), y)


@case
def german_data(r: Random) -> Case:
    n = 300
    x = pd.DataFrame({
        "status": choose(r, n, "A11", "A12", "A13", "A14"), "months": r.integers(4, 72, n),
        "history": choose(r, n, "A30", "A31", "A32"), "amount": r.integers(250, 18_424, n), "rate": r.integers(1, 5, n),
    })  # fmt: skip
    y = labels(r, x, [1, 1, 2])
    return Case("german.data", text(x.assign(y=y), sep=" ", header=False), headless(x), y)


@case
def processed_cleveland(r: Random) -> Case:
    x = numbers(r, 200, "a b c d e f g h i j k", 1)
    y = labels(r, x, [0, 1, 2, 3, 4])
    shown = x.assign(ca=gaps(r, pd.Series(r.integers(0, 4, 200).astype(float)), 0.03))
    return Case("processed.cleveland.data", text(shown.assign(y=y), header=False, gap="?"), headless(shown), y)


@case
def hepatitis_class_first(r: Random) -> Case:
    x = numbers(r, 155, "age bili alk", 1)
    y = labels(r, x, [1, 2])
    shown = x.assign(bili=gaps(r, x["bili"]), alk=gaps(r, x["alk"], 0.4))
    frame = pd.concat([y.rename("y"), shown], axis=1)
    return Case("hepatitis.data", text(frame, header=False, gap="?"), headless(shown, 2), y, {"target": "x1"})


@case
def ecoli_with_names_and_blanks(r: Random) -> Case:
    x = numbers(r, 200, "a b c d e", 2, 0.1, 0.5)
    y = labels(r, x, ["cp", "im", "pp"])
    rows = [f"SEQ{i:03}_ECOLI  " + "  ".join(f"{v:.2f}" for v in x.iloc[i]) + f"   {y[i]}" for i in range(200)]
    return Case("ecoli.data", "\n".join(rows).encode(), headless(x, 2), y)


@case
def covtype_gz(r: Random) -> Case:
    x = pd.DataFrame(r.integers(0, 4000, (400, 10)), columns=[f"c{i}" for i in range(10)])
    for i in range(8):
        x[f"soil{i}"] = r.integers(0, 2, 400)
    y = labels(r, x, [1, 2, 3, 4, 5, 6, 7])
    return Case("covtype.data.gz", gzip.compress(text(x.assign(y=y), header=False)), headless(x), y)


@case
def mnist_csv_without_header(r: Random) -> Case:
    x = pd.DataFrame(r.integers(0, 256, (200, 49)) * (r.random((200, 49)) < 0.4), columns=[f"p{i}" for i in range(49)])
    y = pd.Series(r.integers(0, 10, 200))
    x["p5"] = 25 * y
    frame = pd.concat([y.rename("label"), x], axis=1)
    return Case("mnist_test.csv", text(frame, header=False), headless(x, 2), y, {"target": "x1"})


@case
def no_suffix(r: Random) -> Case:
    x = numbers(r, 100, "a b", 2)
    y = labels(r, x, ["no", "yes"])
    return Case("haberman", text(x.assign(y=y), header=False), headless(x), y)


@case
def congressional_votes(r: Random) -> Case:
    x = pd.DataFrame({f"v{i}": gaps(r, pd.Series(choose(r, 300, "y", "n")), 0.05) for i in range(16)})
    y = pd.Series(np.where(x["v3"] == "y", "republican", "democrat"))
    frame = pd.concat([y.rename("party"), x], axis=1)
    return Case("house-votes-84.data", text(frame, header=False, gap="?"), headless(x, 2), y, {"target": "x1"})


@case
def tic_tac_toe(r: Random) -> Case:
    x = pd.DataFrame({f"s{i}": choose(r, 300, "x", "o", "b") for i in range(9)})
    y = pd.Series(np.where((x == "x").sum(axis=1) > 3, "positive", "negative"))
    return Case("tic-tac-toe.data", text(x.assign(y=y), header=False), headless(x), y)


@case
def imports_85(r: Random) -> Case:
    x = numbers(r, 150, "wheel length width", 1)
    x.insert(0, "losses", gaps(r, pd.Series(r.integers(65, 256, 150)), 0.2))
    x.insert(1, "fuel", choose(r, 150, "gas", "diesel"))
    x.insert(2, "doors", gaps(r, pd.Series(choose(r, 150, "two", "four")), 0.03))
    y = prices(r, x.assign(losses=0), 0).astype(int) * 100
    shown = y.astype(object)
    shown[[3, 40]] = None
    return Case("imports-85.data", text(x.assign(y=shown), header=False, gap="?"), headless(x), shown)


# With a header


@case
def titanic(r: Random) -> Case:
    n = 300
    x = pd.DataFrame({
        "Pclass": r.integers(1, 4, n), "Sex": choose(r, n, "male", "female"),
        "Age": gaps(r, pd.Series(r.uniform(0, 80, n).round(1)), 0.2), "SibSp": r.integers(0, 5, n),
        "Parch": r.integers(0, 4, n), "Fare": r.uniform(5, 500, n).round(4),
        "Embarked": gaps(r, pd.Series(choose(r, n, "S", "C", "Q")), 0.01),
    })  # fmt: skip
    y = pd.Series(np.where((x["Sex"] == "female") ^ (r.random(n) < 0.15), 1, 0))
    frame = x.copy()
    frame.insert(0, "PassengerId", range(1, n + 1))
    frame.insert(1, "Survived", y)
    frame.insert(3, "Name", [f"Doe, Mr. John {i}" for i in range(n)])
    frame.insert(8, "Ticket", [f"A/5 {i * 7}" for i in range(n)])
    frame.insert(10, "Cabin", gaps(r, pd.Series([f"C{i}" for i in range(n)]), 0.77))
    return Case("titanic.csv", text(frame), x, y, {"target": "Survived"})


@case
def wdbc_from_kaggle(r: Random) -> Case:
    """Its header ends with a comma, its rows do not."""
    x = numbers(r, 150, "radius_mean texture_mean area_mean", 3)
    y = labels(r, x, ["B", "M"])
    frame = pd.concat([pd.Series(r.permutation(900_000)[:150], name="id"), y.rename("diagnosis"), x], axis=1)
    head, _, body = text(frame).decode().partition("\n")
    quoted = ",".join(f'"{name}"' for name in head.split(",")) + ","
    return Case("data.csv", f"{quoted}\n{body}".encode(), x, y, {"target": "diagnosis"})


@case
def winequality(r: Random) -> Case:
    x = numbers(r, 300, "fixed_acidity sugar alcohol", 2).rename(columns={"fixed_acidity": "fixed acidity"})
    y = labels(r, x, [3, 4, 5, 6, 7, 8])
    head = ";".join(f'"{name}"' for name in [*x.columns, "quality"])
    body = text(x.assign(quality=y), sep=";", header=False).decode()
    return Case("winequality-red.csv", f"{head}\n{body}".encode(), x, y)


@case
def pima_diabetes(r: Random) -> Case:
    x = numbers(r, 200, "Glucose BloodPressure BMI", 1, 20, 100).assign(Pregnancies=r.integers(0, 10, 200))
    y = labels(r, x, [0, 1])
    return Case("diabetes.csv", text(x.assign(Outcome=y)), x, y)


@case
def insurance(r: Random) -> Case:
    n = 300
    x = pd.DataFrame({
        "age": r.integers(18, 65, n), "sex": choose(r, n, "male", "female"), "bmi": r.uniform(16, 53, n).round(3),
        "children": r.integers(0, 6, n), "smoker": choose(r, n, "yes", "no"),
        "region": choose(r, n, "southwest", "southeast", "northwest"),
    })  # fmt: skip
    y = (250.0 * x["age"] + 23_000.0 * (x["smoker"] == "yes") + 1000 * r.normal(size=n)).round(4)
    return Case("insurance.csv", text(x.assign(charges=y)), x, y)


@case
def advertising_with_an_unnamed_column(r: Random) -> Case:
    x = numbers(r, 200, "TV Radio Newspaper", 1, 40, 100)
    frame = x.assign(Sales=prices(r, x))
    return Case("Advertising.csv", frame.set_index(pd.RangeIndex(1, 201)).to_csv().encode(), x, frame["Sales"])


@case
def heart_with_marked_gaps(r: Random) -> Case:
    x = numbers(r, 200, "age chol thalach", 0, 20, 100)
    x["trestbps"] = gaps(r, pd.Series(r.integers(94, 200, 200)), 0.1)
    y = labels(r, x, [0, 1])
    return Case("heart.csv", text(x.assign(num=y), gap="-9"), x, y)


@case
def mushrooms(r: Random) -> Case:
    x = pd.DataFrame({f"cap-{i}": choose(r, 250, *"xbsnyt"[: 2 + i % 4]) for i in range(8)})
    y = pd.Series(np.where(x["cap-2"] == "x", "e", "p"))
    return Case("mushrooms.csv", text(pd.concat([y.rename("class"), x], axis=1)), x, y, {"target": "class"})


@case
def kaggle_digits(r: Random) -> Case:
    x = pd.DataFrame(r.integers(0, 256, (200, 36)), columns=[f"pixel{i}" for i in range(36)])
    y = pd.Series(r.integers(0, 10, 200))
    x["pixel7"] = 20 * y
    return Case("train.csv", text(pd.concat([y.rename("label"), x], axis=1)), x, y, {"target": "label"})


@case
def mall_customers(r: Random) -> Case:
    x = pd.DataFrame({"Gender": choose(r, 200, "Male", "Female"), "Age": r.integers(18, 70, 200),
                      "Annual Income (k$)": r.integers(15, 137, 200)})  # fmt: skip
    y = (x["Age"] * 0.8 + r.normal(size=200)).round().astype(int)
    frame = x.assign(**{"Spending Score (1-100)": y})
    frame.insert(0, "CustomerID", [f"{i:04}" for i in range(1, 201)])
    return Case("Mall_Customers.csv", text(frame), x, y)


@case
def telco_churn(r: Random) -> Case:
    """Blanks for gaps in a column of numbers, and yes or no."""
    x = pd.DataFrame({"gender": choose(r, 300, "Male", "Female"), "SeniorCitizen": r.integers(0, 2, 300),
                      "Partner": choose(r, 300, "Yes", "No"), "tenure": r.integers(0, 72, 300),
                      "TotalCharges": gaps(r, pd.Series(r.uniform(18, 8700, 300).round(2)), 0.02)})  # fmt: skip
    y = labels(r, x, ["No", "Yes"])
    frame = x.assign(Churn=y)
    frame.insert(0, "customerID", [f"{i:04}-ABCDE" for i in range(300)])
    return Case("telco.csv", text(frame, gap=" "), x, y)


@case
def house_prices(r: Random) -> Case:
    n = 300
    x = pd.DataFrame({"MSSubClass": r.choice([20, 60], n), "LotArea": r.integers(1300, 20_000, n),
                      "LotFrontage": gaps(r, pd.Series(r.integers(20, 200, n)), 0.2),
                      "Alley": gaps(r, pd.Series(choose(r, n, "Grvl", "Pave")), 0.7),
                      "MasVnrType": choose(r, n, "None", "BrkFace", "Stone")})  # fmt: skip
    y = x["LotArea"] * 10 + 50_000 + r.integers(-9000, 9000, n)
    frame = x.assign(SalePrice=y)
    frame.insert(0, "Id", range(1, n + 1))
    return Case("train.csv", text(frame, gap="NA"), x, y)


@case
def sales_with_thousands(r: Random) -> Case:
    x = pd.DataFrame({"price": r.integers(1000, 90_000, 100), "km": r.integers(1000, 300_000, 100)})
    y = labels(r, x, ["cheap", "dear"])
    shown = x.map(lambda v: f"{v:,}").assign(kind=y)
    return Case("cars.csv", text(shown), x, y, {"thousands": ","})


@case
def sales_with_dollars(r: Random) -> Case:
    x = pd.DataFrame({"price": r.integers(100, 90_000, 100), "share": r.integers(0, 100, 100)})
    y = labels(r, x, ["cheap", "dear"])
    shown = pd.DataFrame({"price": [f"${v}" for v in x["price"]], "share": [f"{v}%" for v in x["share"]], "kind": y})
    return Case("sales.csv", text(shown), x, y)


@case
def millions_with_dollars(r: Random) -> Case:
    x = pd.DataFrame({"price": r.integers(1_000_000, 9_000_000, 100)})
    y = labels(r, x, ["cheap", "dear"])
    shown = pd.DataFrame({"price": [f"${v:,}.00" for v in x["price"]], "kind": y})
    return Case("homes.csv", text(shown), x.astype(float), y)


@case
def european_numbers(r: Random) -> Case:
    x = numbers(r, 150, "Temp Feuchte", 1)
    y = labels(r, x, ["kalt", "warm"])
    return Case("messung.csv", text(x.assign(art=y), sep=";", decimal=","), x, y)


@case
def european_thousands(r: Random) -> Case:
    x = numbers(r, 150, "Preis", 2, 800, 5000)
    y = labels(r, x, ["billig", "teuer"])
    shown = x.map(lambda v: f"{v:,.2f}".translate(str.maketrans(",.", ".,"))).assign(art=y)
    return Case("preise.csv", text(shown, sep=";"), x, y)


@case
def air_quality(r: Random) -> Case:
    """Dates, times, decimal commas, −200 for gaps, two empty columns, and rows of delimiters alone."""
    x = numbers(r, 150, "CO NOx T", 1)
    y = prices(r, x)
    shown = x.assign(CO=gaps(r, x["CO"]))
    frame = pd.concat([pd.Series([f"{1 + i // 24:02}/03/2004" for i in range(150)], name="Date"), shown,
                       y.rename("C6H6")], axis=1)  # fmt: skip
    frame["Date"] = [f"{1 + i % 28:02}/{1 + i // 28:02}/2004" for i in range(150)]
    body = text(frame, sep=";", decimal=",", gap="-200").decode().replace("\n", ";;\n") + ";;;;;;\n" * 20
    return Case("AirQualityUCI.csv", body.encode(), shown, y, {"target": "C6H6"})


@case
def excel_with_a_mark_and_windows_lines(r: Random) -> Case:
    x = numbers(r, 100, "größe höhe", 2)
    y = labels(r, x, ["ja", "nein"])
    return Case("export.csv", b"\xef\xbb\xbf" + text(x.assign(art=y), sep=";", lineterminator="\r\n"), x, y)


@case
def latin_one(r: Random) -> Case:
    x = numbers(r, 100, "größe höhe", 2)
    y = labels(r, x, ["Käse", "Wurst"])
    return Case("alt.csv", text(x.assign(art=y)).decode().encode("cp1252"), x, y)


@case
def utf_16_from_a_spreadsheet(r: Random) -> Case:
    x = numbers(r, 100, "a b", 2)
    y = labels(r, x, ["u", "v"])
    return Case("unicode.txt", text(x.assign(kind=y), sep="\t").decode().encode("utf-16"), x, y)


@case
def a_title_above_the_table(r: Random) -> Case:
    x = numbers(r, 100, "a b c", 2)
    y = labels(r, x, ["u", "v"])
    head = b"Measurements of 2024\nCollected by the second year\n\n"
    return Case("lab.csv", head + text(x.assign(kind=y)), x, y)


@case
def comments_of_savetxt(r: Random) -> Case:
    x = numbers(r, 100, "a b", 3)
    y = prices(r, x, 3)
    return Case("line.txt", b"# a b y\n" + text(x.assign(y=y), sep=" ", header=False), x, y)


@case
def rows_named_by_r(r: Random) -> Case:
    """write.table has no name above the names of the rows."""
    x = numbers(r, 100, "mpg wt", 2)
    y = labels(r, x, ["auto", "manual"])
    rows = [f'"car {i}" {x["mpg"][i]} {x["wt"][i]} "{y[i]}"' for i in range(100)]
    return Case("cars.dat", ('"mpg" "wt" "am"\n' + "\n".join(rows)).encode(), x, y)


@case
def rdatasets_with_rownames(r: Random) -> Case:
    x = numbers(r, 100, "bill_length_mm body_mass_g", 1)
    x["island"] = choose(r, 100, "Biscoe", "Dream")
    y = labels(r, x, ["Adelie", "Gentoo"])
    frame = x.assign(species=y)
    frame.insert(0, "rownames", range(1, 101))
    return Case("penguins.csv", text(frame), x, y)


@case
def penguins_with_na(r: Random) -> Case:
    x = numbers(r, 150, "bill depth mass", 1)
    y = labels(r, x, ["Adelie", "Chinstrap", "Gentoo"])
    shown = x.assign(mass=gaps(r, x["mass"], 0.02), sex=gaps(r, pd.Series(choose(r, 150, "male", "female")), 0.05))
    frame = pd.concat([y.rename("species"), shown], axis=1)
    return Case("penguins.csv", text(frame, gap="NA"), shown, y, {"target": "species"})


@case
def truth_values(r: Random) -> Case:
    x = numbers(r, 150, "a b", 2).assign(CryoSleep=r.random(150) < 0.5)
    y = pd.Series(np.where(labels(r, x, [0, 1]) == 1, "True", "False"))
    return Case("spaceship.csv", text(x.assign(Transported=y)), x.assign(CryoSleep=x["CryoSleep"].astype(int)), y)


@case
def a_target_with_gaps(r: Random) -> Case:
    x = numbers(r, 150, "a b", 2)
    y = gaps(r, labels(r, x, ["good", "bad"]), 0.05)
    return Case("loan.csv", text(x.assign(Loan_Status=y), gap="NA"), x, y)


@case
def an_unnamed_column_of_text(r: Random) -> Case:
    x = numbers(r, 50, "Murder Assault", 1)
    frame = x.assign(UrbanPop=prices(r, x))
    return Case("USArrests.csv", frame.set_index(pd.Index([f"State {i}" for i in range(50)])).to_csv().encode(), x,
                frame["UrbanPop"])  # fmt: skip


@case
def a_trailing_delimiter(r: Random) -> Case:
    x = numbers(r, 100, "a b", 2)
    y = labels(r, x, ["u", "v"])
    return Case("trail.csv", text(x.assign(kind=y)).replace(b"\n", b",\n"), x, y)


@case
def bars(r: Random) -> Case:
    x = numbers(r, 100, "a b", 2)
    y = labels(r, x, ["u", "v"])
    return Case("bars.txt", text(x.assign(kind=y), sep="|"), x, y)


@case
def real_estate_numbered(r: Random) -> Case:
    x = numbers(r, 150, "age distance", 1)
    frame = x.assign(price=prices(r, x))
    frame.insert(0, "No", range(1, 151))
    return Case("Real estate.csv", text(frame), x, frame["price"])


@case
def bike_sharing(r: Random) -> Case:
    n = 300
    x = pd.DataFrame({"season": r.integers(1, 5, n), "temp": r.random(n).round(6), "hum": r.random(n).round(6)})
    y = (3000 * x["temp"] + 500 + 100 * r.normal(size=n)).round().astype(int)
    frame = x.assign(cnt=y)
    frame.insert(0, "instant", range(1, n + 1))
    frame.insert(1, "dteday", pd.date_range("2011-01-01", periods=n).strftime("%Y-%m-%d"))
    return Case("day.csv", text(frame), x, y)


@case
def admission_with_serial_numbers(r: Random) -> Case:
    x = numbers(r, 150, "GRE CGPA", 2)
    frame = x.assign(**{"Chance of Admit ": (prices(r, x) / 100).round(2)})
    frame.insert(0, "Serial No.", range(1, 151))
    return Case("Admission_Predict.csv", text(frame), x, frame["Chance of Admit "])


@case
def iris_from_kaggle(r: Random) -> Case:
    x = numbers(r, 150, "SepalLengthCm PetalLengthCm", 1)
    y = labels(r, x, ["Iris-setosa", "Iris-virginica"]).sort_values(ignore_index=True)
    frame = x.assign(Species=y)
    frame.insert(0, "Id", range(1, 151))
    return Case("Iris.csv", text(frame), x, y)


@case
def student_performance(r: Random) -> Case:
    x = pd.DataFrame({"school": choose(r, 200, "GP", "MS"), "age": r.integers(15, 23, 200),
                      "famsup": choose(r, 200, "yes", "no"), "G1": r.integers(3, 20, 200)})  # fmt: skip
    y = (x["G1"] + r.integers(-2, 3, 200)).clip(0, 20)
    y.iloc[:21] = range(21)
    head = ";".join([*x.columns, "G3"])
    body = [";".join(f'"{v}"' if isinstance(v, str) else str(v) for v in (*x.iloc[i], y[i])) for i in range(200)]
    return Case("student-mat.csv", (head + "\n" + "\n".join(body)).encode(), x, y)


@case
def bank_marketing_with_quotes(r: Random) -> Case:
    x = pd.DataFrame({"age": r.integers(18, 90, 200), "job": choose(r, 200, "admin.", "blue-collar", "unknown"),
                      "balance": r.integers(-3000, 50_000, 200), "duration": r.integers(1, 4000, 200)})  # fmt: skip
    y = labels(r, x, ["no", "yes"])
    head = ";".join(f'"{name}"' for name in [*x.columns, "y"])
    body = [";".join(f'"{v}"' if isinstance(v, str) else str(v) for v in (*x.iloc[i], y[i])) for i in range(200)]
    return Case("bank-full.csv", (head + "\n" + "\n".join(body)).encode(), x, y)


@case
def credit_card_quoted_labels(r: Random) -> Case:
    x = numbers(r, 200, "Time V1 V2 Amount", 4)
    y = labels(r, x, [0, 0, 0, 1])
    head = ",".join(f'"{name}"' for name in [*x.columns, "Class"])
    body = [",".join([*(repr(float(v)) for v in x.iloc[i]), f'"{y[i]}"']) for i in range(200)]
    return Case("creditcard.csv", (head + "\n" + "\n".join(body)).encode(), x, y)


@case
def numbered_header_of_pandas(r: Random) -> Case:
    x = numbers(r, 100, "0 1 2 3", 3)
    y = labels(r, x, [0, 1, 2])
    return Case("frame.csv", text(x.assign(**{"4": y})), x, y)


@case
def index_kept_by_pandas(r: Random) -> Case:
    x = numbers(r, 100, "a b", 3)
    y = labels(r, x, ["u", "v"])
    return Case("saved.csv", x.assign(kind=y).to_csv().encode(), x, y)


@case
def signs_as_labels(r: Random) -> Case:
    x = numbers(r, 100, "a b", 3)
    y = labels(r, x, [-1, 1])
    return Case("signs.csv", text(x.assign(y=y)), x, y)


@case
def a_few_words_among_numbers(r: Random) -> Case:
    x = numbers(r, 100, "a b", 3)
    y = labels(r, x, ["u", "v"])
    shown = x.astype(object)
    shown.loc[[4, 50], "a"] = "unknown"
    return Case("field.csv", text(shown.assign(kind=y)), shown.replace("unknown", None), y)


# Not text


@case
def npz_with_named_parts(r: Random) -> Case:
    x = numbers(r, 100, "x1 x2", 3)
    y = labels(r, x, [-1, 1])
    return Case("toy.npz", packed(X_train=x.to_numpy(), y_train=y.to_numpy(), X_test=x.to_numpy()[:5],
                                  y_test=y.to_numpy()[:5]), x, y)  # fmt: skip


@case
def npz_of_medmnist(r: Random) -> Case:
    x = numbers(r, 100, "x1 x2", 3)
    y = labels(r, x, [0, 1, 2])
    arrays = {f"{part}_{kind}": values for part in ("train", "val", "test")
              for kind, values in (("images", x.to_numpy()), ("labels", y.to_numpy()[:, None]))}  # fmt: skip
    return Case("pneumonia.npz", packed(**arrays), x, y)


@case
def npz_without_names(r: Random) -> Case:
    x = numbers(r, 100, "x1 x2", 3)
    y = labels(r, x, [0, 1])
    return Case("saved.npz", packed(arr_0=x.to_numpy(), arr_1=y.to_numpy()), x, y)


def packed(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@case
def excel(r: Random) -> Case:
    x = numbers(r, 60, "a b", 2)
    y = labels(r, x, ["u", "v"])
    shown = x.assign(b=gaps(r, x["b"]), kind=y)
    file = io.BytesIO()
    shown.to_excel(file, index=False)
    return Case("sheet.xlsx", file.getvalue(), shown[["a", "b"]], y)


@case
def parquet(r: Random) -> Case:
    x = numbers(r, 60, "a b", 2).assign(c=choose(r, 60, "p", "q"))
    y = labels(r, x, ["u", "v"])
    file = io.BytesIO()
    x.assign(kind=y).to_parquet(file)
    return Case("table.parquet", file.getvalue(), x, y)


@case
def matlab(r: Random) -> Case:
    from scipy.io import savemat

    x = numbers(r, 100, "x1 x2", 2)
    y = labels(r, x, [1, 2, 10])
    file = io.BytesIO()
    savemat(file, {"X": x.to_numpy(), "y": y.to_numpy()[:, None]})
    return Case("ex3data1.mat", file.getvalue(), x, y)


def write(found: Case, folder: Path) -> Path:
    path = folder / found.name
    path.write_bytes(found.content)
    return path
