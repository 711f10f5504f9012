"""Random changes of light, tones and quality. Most are no colour matrix, and cost time on the images that they meet."""

from convlift.recipe.section import Section, lever


class Effects(Section):
    """Each but gamma, channel gain and greyscale is drawn for a share of the images alone, `effect_chance`, apart from
    the others, and at a strength uniform from 0 to the lever's; weather from half of it, shot noise at all of it.

    What is drawn for one image comes in this order: shade of clouds, clouds, haze, fog, a low sun, night, as the scene
    has them; blur and shot noise, as a camera has; gamma, equalize, solarize and posterize, which are one table of
    bytes; sharpness; JPEG. Then comes the colour matrix.
    """

    gamma: float = lever(
        0.0,
        "exponent of pixels in [0, 1], drawn log-uniformly from [1 - gamma, 1 / (1 - gamma)]: above 1 is darker, but "
        "for black and white",
        "Isensee et al. 2021, supplement (nnU-Net: .7 to 1.5)",
        later=True,
        ge=0,
        le=0.9,
    )
    channel_gain: float = lever(
        0.0,
        "factor of each channel, drawn apart from [1 - g, 1 + g]: the colour of the light; of a grey image its light",
        "Finlayson et al. 1994 (diagonal transforms suffice)",
        later=True,
        ge=0,
        lt=1,
    )
    greyscale: float = lever(
        0.0,
        "probability that the colours are taken away; colour images only",
        "Chen et al. 2020, appendix A (.2)",
        later=True,
        ge=0,
        le=1,
    )
    equalize: float = lever(
        0.0,
        "part of the way to an even histogram in each channel, up to this",
        "Cubuk et al. 2019, table 6 (Equalize, all of the way)",
        later=True,
        ge=0,
        le=1,
    )
    solarize: float = lever(
        0.0,
        "pixels in the upper part of [0, 1] are inverted, of a part up to this",
        "Cubuk et al. 2019, table 6 (Solarize)",
        later=True,
        ge=0,
        le=1,
    )
    posterize: float = lever(
        0.0,
        "bits of the eight of a pixel that are set to 0, 1 to this (rounded up)",
        "Cubuk et al. 2019, table 6 (Posterize, 0 to 4)",
        later=True,
        ge=0,
        le=7,
    )
    sharpness: float = lever(
        0.0,
        "blend with the smoothed image, factor from [1 - s, 1 + s]: above 1 is sharper",
        "Cubuk et al. 2019, table 6 (Sharpness, .1 to 1.9)",
        later=True,
        ge=0,
        le=1,
    )
    blur: float = lever(
        0.0,
        "deviation of a Gaussian blur, as a fraction of the shorter side, up to this",
        "Chen et al. 2020, appendix A (2 of 224 pixels, which is .009; chance .5)",
        later=True,
        ge=0,
        le=0.1,
    )
    shot_noise: float = lever(
        0.0,
        "Poisson noise of the light, with this standard deviation at white, and of the square root of it below",
        "Hendrycks and Dietterich 2019, section 3 (shot noise: .13 to .58)",
        later=True,
        ge=0,
        le=0.5,
    )
    jpeg: float = lever(
        0.0,
        "saved as a JPEG of a quality from 100 down to 100 (1 - j), colours at half the resolution",
        "Hendrycks and Dietterich 2019, section 3 (JPEG: 25 to 7)",
        later=True,
        ge=0,
        lt=1,
    )
    haze: float = lever(
        0.0,
        "air that scatters light, bluish and thicker towards the upper edge; 1 hides three quarters of the contrast",
        "He et al. 2009, section 2 (Koschmieder's law)",
        later=True,
        ge=0,
        le=1,
    )
    fog: float = lever(
        0.0,
        "droplets in swathes that take contrast and colours; 1 leaves shapes",
        "He et al. 2009, section 2; Hendrycks and Dietterich 2019 (fog)",
        later=True,
        ge=0,
        le=1,
    )
    clouds: float = lever(
        0.0,
        "clouds seen from above, with soft edges; 1 covers about two thirds",
        "Hendrycks and Dietterich 2019 (fog), for its noise of several scales",
        later=True,
        ge=0,
        le=1,
    )
    cloud_shadow: float = lever(
        0.0,
        "shade of clouds on the ground, with soft edges; 1 takes over half of the light there",
        "Hendrycks and Dietterich 2019 (fog), for its noise of several scales",
        later=True,
        ge=0,
        le=1,
    )
    low_sun: float = lever(
        0.0,
        "warm light from one side and deep, cool shadows",
        "Buslaev et al. 2020 (Albumentations), for changes of light as weather",
        later=True,
        ge=0,
        le=1,
    )
    night: float = lever(
        0.0,
        "little light: a higher gamma, and hardly a colour but blue",
        "Buslaev et al. 2020 (Albumentations), for changes of light as weather",
        later=True,
        ge=0,
        le=1,
    )
    effect_chance: float = lever(
        0.5,
        "probability that an image is drawn for an effect that is on; for each effect apart",
        "Chen et al. 2020, appendix A (blur)",
        later=True,
        gt=0,
        le=1,
    )
