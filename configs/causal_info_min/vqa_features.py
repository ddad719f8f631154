"""TE-D, ATE-D and unimodal debiasing on embeddings that you have; without any, on one sample of a generator.

Command: python -m experiments.run causal_info_min/vqa_features --path FEATURES.npz --width 768 --mode loop
The archive holds first (n, a) and second (n, b), answers (n,) or (n, A), and split (n,): 'train', 'id' or 'ood'; for
instance pooled question and picture embeddings of VQA-CP v2 as 'train' and 'ood', and of VQA v2 as 'id'.
Expected result: the paper's tables were not found; by its abstract both methods gain out of distribution.
Expected time: small 3 min, paper 5 min on two CPU cores, without a file (estimated, not measured).
"""

import dataclasses

from experiments.papers.causal_info_min.features import Features

REPRODUCE = "smoke"

PAPER = Features()
SCALES = {
    "smoke": dataclasses.replace(PAPER, replications=1, share=0.05, width=16, epochs=1),
    "small": dataclasses.replace(PAPER, replications=3),
    "paper": PAPER,
}
