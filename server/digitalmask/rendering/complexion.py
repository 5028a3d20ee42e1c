"""The mask's own colours: chosen from a short list by who runs it, never after the camera."""

from dataclasses import dataclass

Colour = tuple[float, float, float]

# Linear RGB. The first of each is what is drawn where nothing is chosen.
SKINS: dict[str, Colour] = {
    "light": (0.655, 0.505, 0.420),
    "medium": (0.430, 0.285, 0.205),
    "dark": (0.185, 0.112, 0.078),
}
# Beside the pupil, and towards the limbus.
IRISES: dict[str, tuple[Colour, Colour]] = {
    "neutral": ((0.245, 0.190, 0.140), (0.160, 0.138, 0.118)),
    "brown": ((0.190, 0.105, 0.055), (0.115, 0.068, 0.042)),
    "green": ((0.255, 0.265, 0.150), (0.150, 0.190, 0.125)),
    "blue": ((0.255, 0.320, 0.380), (0.140, 0.205, 0.290)),
}


@dataclass(frozen=True, slots=True)
class Complexion:
    """Names of a skin and of an iris."""

    skin: str = "light"
    eyes: str = "neutral"

    def definitions(self) -> str:
        """The colours as the shaders have them."""
        inner, outer = IRISES[self.eyes]
        colours = {"SKIN": SKINS[self.skin], "IRIS_INNER": inner, "IRIS_OUTER": outer}
        return "".join(
            f"#define {name} vec3({red}, {green}, {blue})\n"
            for name, (red, green, blue) in colours.items()
        )
