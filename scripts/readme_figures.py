# %% [markdown]
# The pictures of the README, drawn from the code: `python scripts/readme_figures.py`.

# %%
from pathlib import Path

import edunn

OUT = Path(__file__).resolve().parent.parent / "docs" / "images"
OUT.mkdir(parents=True, exist_ok=True)

# %% The first example: what a softmax classifier learned to look for in handwritten digits
digits = edunn.data.digits()
model = edunn.models.SoftmaxClassifier(64, 10)
edunn.descend(model, edunn.losses.CrossEntropy(), digits.train, rate=1.0, batch_size=64, epochs=50)
print(f"accuracy on new writers {model.score(digits.test.features, digits.test.targets):.4f}")
edunn.figures.save(edunn.figures.templates(model.weight.detach(), (8, 8), digits.train.classes), OUT / "templates.png")

# %% Two losses on the same two half moons
moons = edunn.data.TOYS["moons"](samples=300, noise=0.2).to(dtype=edunn.runtime.devices.dtype("float32"))
line = edunn.models.SoftmaxClassifier(2, 2)
edunn.descend(line, edunn.losses.CrossEntropy(), moons, rate=1.0, epochs=300)
edunn.figures.save(edunn.figures.decision_regions(line, moons), OUT / "moons.png")

# %% Squared error through a sigmoid against cross-entropy: what the same data make of the two
random = edunn.data.TOYS["random-binary"](samples=1000)
x, y = random.features[:, 0], random.targets.double()
first, second = (
    edunn.landscape.grid(x, y, loss, w=(-20, 20, 512), b=(-20, 20, 512))
    for loss in (
        edunn.losses.SquaredError(through=edunn.activations.Sigmoid()),
        edunn.losses.BinaryCrossEntropy(),
    )
)
axes = edunn.figures.comparison(first, second, titles=("squared error through a sigmoid", "cross-entropy"))
edunn.figures.save(axes[0].figure, OUT / "comparison.png", dpi=90)
