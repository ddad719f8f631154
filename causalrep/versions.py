"""What a bug report needs: versions, devices and folders."""

import importlib.metadata
import platform
import sys

PACKAGES = (
    *("causalrep", "jax", "jaxlib", "flax", "optax", "numpyro", "chex", "orbax-checkpoint", "tensorflow-datasets"),
    *("numpy", "scipy", "pandas", "pyarrow", "matplotlib", "grain", "scikit-learn", "econml", "libtpu"),
)


def show_versions() -> None:
    """Print the versions, devices and settings that a bug report should contain."""
    # Starting JAX's backend takes a second: only when asked.
    import jax

    lines = {"python": sys.version.split()[0], "platform": platform.platform()}
    for name in PACKAGES:
        try:
            lines[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            lines[name] = "not installed"
    lines["devices"] = ", ".join(f"{device.platform}: {device.device_kind}" for device in jax.devices())
    lines["64-bit types"] = "on" if jax.config.jax_enable_x64 else "off"
    width = max(map(len, lines))
    for label, value in lines.items():
        print(f"{label:<{width}}  {value}")
