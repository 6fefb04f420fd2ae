"""`make docs`: writes the pages and the picture that are made from the code."""

from tools.docs import commands, configuration, layers

if __name__ == "__main__":
    for path, render in (
        (configuration.PAGE, configuration.render),
        (commands.PAGE, commands.render),
        (layers.PICTURE, layers.render),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(), encoding="utf-8")
