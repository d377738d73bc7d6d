"""Real data sets: a module for each publisher, whose function writes a face folder (`metadata.jsonl` beside `images/`).

    london.london                     Face Research Lab London Set, landmarks from its own templates
    celeba.celeba, celeba.celeba_hq   CelebA's aligned photographs, and CelebA-HQ
    own.own                           any folder of one's own photos, a sub-folder for each person
    irregular_masks.irregular_masks   the test masks of Liu et al. 2018, sorted by hole ratio (masks, no faces)
"""
