"""The published names and shapes of DSRIR's parameters, for any width and depth, apart from the network's own code."""

from __future__ import annotations

Shapes = dict[str, tuple[int, ...]]


def dsrir_shapes(*, width: int, blocks: int, groups: int) -> Shapes:
    """Return name -> shape; 16, 2 and 4 are the published sizes."""
    c1, c2, c3 = 2 * width, 3 * width, 4 * width
    found: Shapes = {
        "ebd.weight": (c1 + c2 + c3, 3, 3, 3),
        "channel_comp1.weight": (c2, c1 + c2, 1, 1),
        "channel_comp2.weight": (c3, c2 + c3, 1, 1),
        "SN1.down1.down.1.weight": (2 * c1, c1, 1, 1),
        "SN1.down2.down.1.weight": (3 * c1, 2 * c1, 1, 1),
        "SN1.up1.up.1.weight": (c1, 2 * c1, 1, 1),
        "SN1.up2.up.1.weight": (2 * c1, 3 * c1, 1, 1),
        "SN2.down1.down.1.weight": (4 * width, c2, 1, 1),
        "SN2.up1.up.1.weight": (c2, 4 * width, 1, 1),
    }
    places = [("SN1.skipatt1", c1), ("SN1.skipatt2", 2 * c1), ("SN2.skipatt1", c2)]
    levels = (("SN1", 1, c1, blocks), ("SN1", 2, 2 * c1, blocks), ("SN1", 3, 3 * c1, blocks))
    for part, level, c, count in (*levels, ("SN2", 1, c2, blocks), ("SN2", 2, 4 * width, 2 * blocks)):
        places += [(f"{part}.{side}{level}.{i}", c) for side in ("encoder", "decoder") for i in range(count)]
    for group in range(1, groups + 1):
        places += [(f"SN3.PAG{group}.body.{i}", c3) for i in range(4)]
        found[f"SN3.PAG{group}.body.4.weight"] = (c3, c3, 3, 3)
    for place, c in places:
        found |= {f"{place}.conv1.weight": (c, c, 3, 3), f"{place}.conv2.weight": (c, c, 3, 3)}
        found |= {f"{place}.PA.conv_du.0.weight": (c // 8, c, 1, 1), f"{place}.PA.conv_du.0.bias": (c // 8,)}
        found |= {f"{place}.PA.conv_du.2.weight": (c, c // 8, 1, 1), f"{place}.PA.conv_du.2.bias": (c,)}
    for stage, c in enumerate((c1, c2, c3), start=1):
        found |= _refinement(f"PRU{stage}", c) | _supervision(f"usau_{stage}", c)
    return found


def _refinement(name: str, c: int) -> Shapes:
    return {
        f"{name}.conv.weight": (c, c, 3, 3),
        f"{name}.fr.0.weight": (c // 8, c, 3, 3),
        f"{name}.fr.0.bias": (c // 8,),
        f"{name}.fr.2.weight": (c, c // 8, 3, 3),
        f"{name}.fr.2.bias": (c,),
    }


def _supervision(name: str, c: int) -> Shapes:
    return {
        f"{name}.conv_in.weight": (c, 3, 3, 3),
        f"{name}.conv1.weight": (c, c, 1, 1),
        f"{name}.conv2.weight": (c, c, 1, 1),
        f"{name}.conv_out.weight": (3, c, 3, 3),
        f"{name}.var_est.0.weight": (c, c, 3, 3),
        f"{name}.var_est.0.bias": (c,),
        f"{name}.var_map.0.weight": (3, c, 3, 3),
        f"{name}.var_map.0.bias": (3,),
        f"{name}.att_map.0.weight": (c, c, 1, 1),
        f"{name}.att_map.0.bias": (c,),
    }
