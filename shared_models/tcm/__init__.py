"""The paper's own networks, LIC-TCM (Liu et al., CVPR 2023), for the profile `paper`. Needs CompressAI."""
