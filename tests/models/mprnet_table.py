"""The table of MPRNet's parameters as the paper's blocks make it, written down apart from the network."""

from __future__ import annotations

Shapes = dict[str, tuple[int, ...]]


def mprnet_shapes(n_feat: int, scale_unetfeats: int, scale_orsnetfeats: int, num_cab: int, reduction: int) -> Shapes:
    """Return the name and shape of every parameter for some hyper-parameters."""
    n, full = n_feat, n_feat + scale_orsnetfeats
    c1, c2, c3 = n, n + scale_unetfeats, n + 2 * scale_unetfeats
    shapes: Shapes = {"shallow_feat1.1.body.1.weight": (1,)}

    def block(name: str, c: int) -> None:
        shapes[f"{name}.body.0.weight"] = shapes[f"{name}.body.2.weight"] = (c, c, 3, 3)
        shapes[f"{name}.CA.conv_du.0.weight"] = (c // reduction, c, 1, 1)
        shapes[f"{name}.CA.conv_du.2.weight"] = (c, c // reduction, 1, 1)

    for k in (1, 2, 3):
        shapes[f"shallow_feat{k}.0.weight"] = (n, 3, 3, 3)
        block(f"shallow_feat{k}.1", n)
    for stage in (1, 2):
        encoder, decoder = f"stage{stage}_encoder", f"stage{stage}_decoder"
        for level, c in ((1, c1), (2, c2), (3, c3)):
            for i in (0, 1):
                block(f"{encoder}.encoder_level{level}.{i}", c)
                block(f"{decoder}.decoder_level{level}.{i}", c)
            if stage == 2:
                shapes[f"{encoder}.csff_enc{level}.weight"] = shapes[f"{encoder}.csff_dec{level}.weight"] = (c, c, 1, 1)
        shapes[f"{encoder}.down12.down.1.weight"] = (c2, c1, 1, 1)
        shapes[f"{encoder}.down23.down.1.weight"] = (c3, c2, 1, 1)
        shapes[f"{decoder}.up21.up.1.weight"] = (c1, c2, 1, 1)
        shapes[f"{decoder}.up32.up.1.weight"] = (c2, c3, 1, 1)
        block(f"{decoder}.skip_attn1", c1)
        block(f"{decoder}.skip_attn2", c2)
    for k in (1, 2, 3):
        for i in range(num_cab):
            block(f"stage3_orsnet.orb{k}.body.{i}", full)
        shapes[f"stage3_orsnet.orb{k}.body.{num_cab}.weight"] = (full, full, 3, 3)
        shapes[f"stage3_orsnet.conv_enc{k}.weight"] = shapes[f"stage3_orsnet.conv_dec{k}.weight"] = (full, c1, 1, 1)
    for way in ("enc", "dec"):
        shapes[f"stage3_orsnet.up_{way}1.up.1.weight"] = (c1, c2, 1, 1)
        shapes[f"stage3_orsnet.up_{way}2.0.up.1.weight"] = (c2, c3, 1, 1)
        shapes[f"stage3_orsnet.up_{way}2.1.up.1.weight"] = (c1, c2, 1, 1)
    for name in ("sam12", "sam23"):
        shapes[f"{name}.conv1.weight"] = (n, n, 1, 1)
        shapes[f"{name}.conv2.weight"] = (3, n, 1, 1)
        shapes[f"{name}.conv3.weight"] = (n, 3, 1, 1)
    shapes["concat12.weight"] = (n, 2 * n, 3, 3)
    shapes["concat23.weight"] = (full, 2 * n, 3, 3)
    shapes["tail.weight"] = (3, full, 3, 3)
    return shapes
