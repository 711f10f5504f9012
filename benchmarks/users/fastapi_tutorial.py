"""A classifier behind FastAPI as tutorials have it: one async function, PIL, torch, one image at a time.

    uvicorn fastapi_tutorial:app      MODEL: run folder of convlift; THREADS: of torch, left as they are where unset
"""
import io
import os

import numpy as np
import torch
from fastapi import FastAPI, File, UploadFile
from PIL import Image

import convlift

saved = convlift.load(os.environ["MODEL"], device="cpu")
model = saved.network.eval()
classes = saved.classes
size = saved.config.resolution
mode = "RGB" if saved.config.channels == 3 else "L"
mean = torch.tensor(saved.config.mean).view(-1, 1, 1)
std = torch.tensor(saved.config.std).view(-1, 1, 1)
if "THREADS" in os.environ:
    torch.set_num_threads(int(os.environ["THREADS"]))

app = FastAPI()


def transform_image(image_bytes):
    image = Image.open(io.BytesIO(image_bytes)).convert(mode).resize((size, size), Image.BILINEAR)
    pixels = torch.from_numpy(np.array(image)).view(size, size, -1).permute(2, 0, 1).contiguous()
    return ((pixels.float() / 255 - mean) / std).unsqueeze(0)


@app.post("/predict")
async def predict(file: UploadFile = File(...)):
    image_bytes = await file.read()
    tensor = transform_image(image_bytes)
    with torch.no_grad():
        outputs = model(tensor)
    probabilities = torch.softmax(outputs, dim=1)[0]
    confidence, index = probabilities.max(0)
    return {"class": classes[index.item()], "confidence": confidence.item()}
